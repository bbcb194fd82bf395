import { mkdir, stat, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { ensureRuntime } from '@vmlet/builder';
import { resolvePaths } from '@vmlet/host';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type InstanceLab, openInstanceLab } from '../framework/instances.ts';
import { REPOSITORY } from '../framework/runtime.ts';

const MIB = 1024 * 1024;
const ending = new AbortController();
let lab: InstanceLab;
let image: string;

/** A system of busybox alone: its own init, its getty, its login. The password is "secret". */
const recipeOn = (base: string) => `format: 1
name: tiny
extends: ${base}
files:
  - path: /etc/inittab
    content: |
      ::sysinit:/bin/mount -a
      ttyS0::respawn:/sbin/getty -L ttyS0 115200 vt100
  - path: /etc/fstab
    content: "tmpfs /tmp tmpfs defaults 0 0"
  - path: /etc/shadow
    mode: "0600"
    content: "root:$6$vmlettest$4/Gze4Ej5c31RL1OYz6DkrSCf2iOiCPngiAa6UUIwAuYkv8f9hikCK.NIoT.F7YYHAG6wEDZgX.27i39EMG9H/:20000::::::"
  - path: /etc/securetty
    content: ttyS0
init: distribution
filesystem: { format: btrfs, freeMiB: 16, maxSizeMiB: 256 }
`;

beforeAll(async () => {
  lab = await openInstanceLab({ signal: ending.signal });
  image = await makeImage(join(lab.folder, 'recipe'));
});
afterAll(async () => {
  ending.abort();
  await lab[Symbol.asyncDispose]();
});

async function makeImage(folder: string): Promise<string> {
  await mkdir(folder);
  await writeFile(join(folder, 'recipe.yaml'), recipeOn(relative(folder, join(REPOSITORY, 'runtimes/minimal'))));
  const { manifest, imagePath } = await ensureRuntime(folder, { cache: resolvePaths().cache });
  expect(manifest).toMatchObject({ filesystem: 'btrfs', init: 'distribution' });
  return imagePath;
}

test('instances: a distribution boots from a disk of btrfs to a login, and what is written there stays', async () => {
  const sizeMiB = 512;
  await using first = await lab.bootImage(image, { diskMiB: sizeMiB });
  expect(first.machine.marks.map(({ step }) => step)).toEqual(['booted']);
  await first.login('root', 'secret');
  expect(await first.run('cat /proc/1/comm')).toBe('init');
  expect(await first.run('grep " / " /proc/mounts')).toMatch(/^\/dev\/vda \/ btrfs rw,/);
  expect(await first.run('ls /lib/modules/$(uname -r)/kernel')).toContain('fs');
  expect(Number(await first.run('cat /sys/block/vda/size'))).toBe((sizeMiB * MIB) / 512);
  await first.run('echo kept > /var/note; sync');
  await first.say('poweroff\n', /sent sigterm|power down|going down/i);
  expect((await first.machine.ended).code).toBe('MACHINE_DIED');

  const disk = join(lab.folder, '1.disk');
  await using second = await lab.boot(disk);
  await second.login('root', 'secret');
  expect(await second.run('cat /var/note')).toBe('kept');
  expect((await stat(disk)).size).toBe(sizeMiB * MIB);
});
