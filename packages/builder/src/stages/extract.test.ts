import { mkdtempDisposable, readFile, readlink, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '@vmlet/host';
import { expect, test } from 'vitest';
import { ensureRuntime } from '../build.ts';
import { parseRecipe } from '../recipe.ts';
import { extract } from './extract.ts';
import { runInside } from './run-inside.ts';

const MINIMAL = join(import.meta.dirname, '../../../../runtimes/minimal');
const makeDir = () => mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));

test('extract: makes the runtime "minimal", the same twice, with a shell and the authorities in at most 4 MiB', async () => {
  await using dir = await makeDir();
  const built = await ensureRuntime(MINIMAL, { cache: join(dir.path, 'one') });
  const again = await ensureRuntime(MINIMAL, { cache: join(dir.path, 'two') });
  expect(again.manifest).toEqual(built.manifest);
  expect(built.manifest).toMatchObject({ name: 'minimal', interpreters: {}, os: expect.stringContaining('busybox') });
  expect(built.manifest.sizeBytes).toBeLessThanOrEqual(4 * 1024 * 1024);

  const root = join(dir.path, 'root');
  await run('fsck.erofs', [`--extract=${root}`, '--no-preserve-owner', built.imagePath]);
  const inside = (script: string) => runInside(root, ['/bin/sh', '-c', script]);
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

test('extract: refuses a suite that is not this machine’s, of whose packages apt knows nothing', async () => {
  await using dir = await makeDir();
  const text = await readFile(join(MINIMAL, 'recipe.yaml'), 'utf8');
  const recipe = parseRecipe(text.replace('suite: bookworm', 'suite: sarge'), 'recipe.yaml');
  const options = { target: join(dir.path, 'root'), work: dir.path, packages: join(dir.path, 'packages') };
  await expect(extract(recipe, options)).rejects.toThrow(/^Cannot build "minimal": suite "sarge", expected "/);
});
