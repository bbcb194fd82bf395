/** The official images of instances, as their recipes make them, but for a password: they come without one. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { ensureRuntime } from '@vmlet/builder';
import { readRecipe } from '@vmlet/builder/recipe';
import { resolvePaths } from '@vmlet/host';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type InstanceLab, openInstanceLab } from '../framework/instances.ts';
import { REPOSITORY } from '../framework/runtime.ts';
import { others } from '../framework/variants.ts';

const DISK_MIB = 2048;
const SHAPE = { memoryMiB: 512, internet: true };
/** Builds, and boots under emulation, with whatever else runs. */
const TIMEOUT_MS = 1_200_000;

const USER_DATA = `#cloud-config
password: changed
chpasswd: { expire: false }
hostname: named-by-cloud-init
`;

test.each(['debian-11', 'debian-12', 'ubuntu-22.04'])('recipe %s: makes an instance, on btrfs', async (name) => {
  const { recipe } = await readRecipe(join(REPOSITORY, 'runtimes', name, 'recipe.yaml'));
  expect(recipe).toMatchObject({ name, init: 'distribution', filesystem: { format: 'btrfs' } });
  expect(recipe.packages).toContain('systemd-sysv');
});

describe.each(others([{ name: 'debian-11' }, { name: 'debian-12' }]))('official image $name', ({ name }) => {
  const ending = new AbortController();
  let lab: InstanceLab;
  let image: string;

  beforeAll(async () => {
    lab = await openInstanceLab({ signal: ending.signal });
    const folder = join(lab.folder, 'recipe');
    await mkdir(folder);
    const base = relative(folder, join(REPOSITORY, 'runtimes', name));
    const recipe = `format: 1\nname: ${name}\nextends: ${base}\nrun:\n  - echo root:secret | chpasswd\n`;
    await writeFile(join(folder, 'recipe.yaml'), recipe);
    const { cache } = resolvePaths();
    const built = await ensureRuntime(folder, { cache, signal: ending.signal });
    expect(built.manifest).toMatchObject({ filesystem: 'btrfs', init: 'distribution' });
    image = built.imagePath;
  }, TIMEOUT_MS);
  afterAll(async () => {
    ending.abort();
    await lab[Symbol.asyncDispose]();
  });

  test(
    'instances: systemd comes up whole from btrfs to a login, and cloud-init takes a seed at the next start',
    async () => {
      await using first = await lab.bootImage(image, { diskMiB: DISK_MIB, ...SHAPE });
      await first.login('root', 'secret');
      expect(await first.run('systemctl is-system-running --wait')).toBe('running');
      expect(await first.run('findmnt -no FSTYPE,SOURCE /')).toMatch(/^btrfs +\/dev\/vda$/);
      expect(Number(await first.run("df -m --output=size / | tail -n 1 | tr -d ' '"))).toBe(DISK_MIB);
      expect(await first.run('cat /etc/machine-id')).toMatch(/^[0-9a-f]{32}$/);
      expect(await first.run('systemctl is-active ssh systemd-networkd systemd-resolved')).toBe(
        'active\nactive\nactive',
      );
      expect(await first.run('ls /etc/ssh/ssh_host_*_key | wc -l')).toBe('2');
      expect(await first.run('cat /etc/resolv.conf')).toContain('nameserver 127.0.0.53');
      expect(await first.run('ip -4 -br address show scope global')).toContain('10.0.2.15/24');
      const seed = '/var/lib/cloud/seed/nocloud';
      const userData = Buffer.from(USER_DATA).toString('base64');
      await first.run(`mkdir -p ${seed}; echo instance-id: first > ${seed}/meta-data`);
      await first.run(`echo ${userData} | base64 -d > ${seed}/user-data`);
      expect(await first.powerOff()).toBe('MACHINE_HALTED');

      await using second = await lab.boot(join(lab.folder, '1.disk'), SHAPE);
      await second.say('\n', /login: ?/);
      await second.login('root', 'secret');
      expect(await second.run('cloud-init status --wait | tr -d .')).toContain('status: done');
      expect(await second.run('hostname')).toBe('named-by-cloud-init');
      await second.say('exit\n', /login: ?/);
      await second.login('debian', 'changed');
      expect(await second.run('sudo -n id -un')).toBe('root');
      expect(await second.powerOff()).toBe('MACHINE_HALTED');
    },
    TIMEOUT_MS,
  );
});
