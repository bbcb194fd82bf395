import { chmod, mkdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { run } from '@vmlet/host';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type InstanceLab, openInstanceLab } from '../framework/instances.ts';
import { officialRuntime } from '../framework/runtime.ts';

const MIB = 1024 * 1024;
const ending = new AbortController();
let lab: InstanceLab;
let image: string;

/** A system of busybox alone: its own init, its getty, its login. */
const FILES: Record<string, string> = {
  'etc/inittab': ['::sysinit:/bin/mount -a', 'ttyS0::respawn:/sbin/getty -L ttyS0 115200 vt100', ''].join('\n'),
  'etc/fstab': 'tmpfs /tmp tmpfs defaults 0 0\n',
  // The password is "secret".
  'etc/shadow':
    'root:$6$vmlettest$4/Gze4Ej5c31RL1OYz6DkrSCf2iOiCPngiAa6UUIwAuYkv8f9hikCK.NIoT.F7YYHAG6wEDZgX.27i39EMG9H/:20000::::::\n',
  'etc/hostname': 'tiny\n',
  'etc/securetty': 'ttyS0\n',
};

beforeAll(async () => {
  lab = await openInstanceLab({ signal: ending.signal });
  image = await makeImage(join(lab.folder, 'tree'));
});
afterAll(async () => {
  ending.abort();
  await lab[Symbol.asyncDispose]();
});

async function makeImage(tree: string): Promise<string> {
  const { imagePath } = await officialRuntime('minimal');
  await run('fsck.erofs', [`--extract=${tree}`, imagePath], {});
  for (const [path, text] of Object.entries(FILES)) {
    await mkdir(dirname(join(tree, path)), { recursive: true });
    await writeFile(join(tree, path), text);
  }
  await run('mkfs.btrfs', ['-q', '--rootdir', tree, `${tree}.btrfs`], {});
  await chmod(`${tree}.btrfs`, 0o444);
  return `${tree}.btrfs`;
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
  await first.run('echo kept > /root/note; sync');
  await first.say('poweroff\n', /sent sigterm|power down|going down/i);
  expect((await first.machine.ended).code).toBe('MACHINE_DIED');

  const disk = join(lab.folder, '1.disk');
  await using second = await lab.boot(disk);
  await second.login('root', 'secret');
  expect(await second.run('cat /root/note')).toBe('kept');
  expect((await stat(disk)).size).toBe(sizeMiB * MIB);
});
