import { mkdtempDisposable, readFile, readlink, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resolvePaths } from '@vmlet/host';
import { expect, test } from 'vitest';
import { openBox } from '../box/index.ts';
import { ensureRuntime } from '../build.ts';

const MINIMAL = join(import.meta.dirname, '../../../../runtimes/minimal');
const makeDir = () => mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));

test('extract: makes the runtime "minimal", the same twice, with a shell and the authorities in at most 4 MiB', async () => {
  await using dir = await makeDir();
  const lockPath = join(dir.path, 'minimal.lock');
  const built = await ensureRuntime(MINIMAL, { cache: join(dir.path, 'one'), lockPath });
  const again = await ensureRuntime(MINIMAL, { cache: join(dir.path, 'two'), lockPath, locked: true });
  expect(again.manifest).toEqual(built.manifest);
  expect(built.manifest).toMatchObject({ name: 'minimal', interpreters: {}, os: expect.stringContaining('busybox') });
  expect(built.manifest.sizeBytes).toBeLessThanOrEqual(4 * 1024 * 1024);

  await using box = await openBox(join(dir.path, 'boxes'), 'extract', resolvePaths());
  const readOnly = { [built.imagePath]: '/image' };
  await box.run(['fsck.erofs', '--extract=/work/root', '/image'], { readOnly });
  const root = join(box.work, 'root');
  const inside = (script: string) => box.run(['/bin/sh', '-c', script], { root: 'root' });
  expect(
    await inside(
      'echo $((6 * 7)); ls -d /usr/bin/env /usr/sbin/httpd /sbin/ip; wget 2>&1 | cut -d " " -f 1 | head -n 1',
    ),
  ).toBe('42\n/sbin/ip\n/usr/bin/env\n/usr/sbin/httpd\nBusyBox\n');
  expect(await inside('id -un; . /etc/os-release; echo $ID; ls -A /lib')).toBe('root\nvmlet-minimal\n');
  expect((await stat(join(root, 'tmp'))).mode & 0o7777).toBe(0o1777);
  const authorities = await readFile(join(root, 'etc/ssl/certs/ca-certificates.crt'), 'utf8');
  expect(authorities.split('-----BEGIN CERTIFICATE-----').length).toBeGreaterThan(100);
  expect(await readlink(join(root, 'bin/sh'))).toBe('busybox');
}, 60_000);
