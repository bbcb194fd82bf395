import { chmod, mkdir, mkdtempDisposable, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommandFailed } from '@vmlet/host';
import { expect, test } from 'vitest';
import { ensureRuntime } from './build.ts';
import type { InitFiles } from './stages/overlay.ts';

const RECIPE = `format: 1
name: small
version: "1"
description: A test
distribution: debian
suite: bookworm
architecture: amd64
variant: minbase
packages: [python3]
interpreters: { python: /usr/bin/python3 }
init: kit
filesystem: { format: erofs, compression: none, maxSizeMiB: 1 }
`;

/** mmdebstrap, as far as a build sees it: it fills the folder that it is given, which comes after the suite. */
const BOOTSTRAP = `#!/bin/sh
echo run >> "$VMLET_TEST_LOG"
while [ "$1" != bookworm ]; do shift; done
mkdir -p "$2/usr/lib" && echo 'PRETTY_NAME="Small 1"' > "$2/usr/lib/os-release"
`;

/** The same, and what is laid over it: a path of a tar, in the option that names it. */
const BOOTSTRAP_OVERLAY = `#!/bin/sh
echo run >> "$VMLET_TEST_LOG"
while [ "$1" != bookworm ]; do
  case $1 in *=tar-in*) tar=\${1#*\\"}; tar=\${tar%%\\"*} ;; esac
  shift
done
mkdir -p "$2/usr/lib" "$2/usr/bin" && ln -s usr/bin "$2/bin" && echo 'PRETTY_NAME="Small 1"' > "$2/usr/lib/os-release"
tar -xf "$tar" -C "$2" && tar -tvf "$tar" --numeric-owner --utc > "$VMLET_TEST_LOG.tar"
[ -L "$2/bin" ] && [ "$("$2/usr/bin/hello")" = hello ]
`;

async function setUp(bootstrap: string) {
  const dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  const recipe = join(dir.path, 'recipe');
  await mkdir(recipe);
  await writeFile(join(recipe, 'recipe.yaml'), RECIPE);
  const bin = join(dir.path, 'bin');
  await mkdir(bin);
  const commands = { mmdebstrap: bootstrap, chroot: '#!/bin/sh\necho Python 3.11.2\n' };
  for (const [name, script] of Object.entries(commands)) await writeFile(join(bin, name), script, { mode: 0o755 });
  const log = join(dir.path, 'log');
  await writeFile(log, '');
  const { PATH } = process.env;
  process.env.PATH = `${bin}:${PATH}`;
  process.env.VMLET_TEST_LOG = log;
  const cache = join(dir.path, 'cache');
  const runtimes = join(cache, 'runtimes');
  return {
    recipe,
    log,
    runtimes,
    ensure: (signal?: AbortSignal, initFiles?: () => Promise<InitFiles>) =>
      ensureRuntime(recipe, { cache, signal, initFiles }),
    builds: async () => (await readFile(log, 'utf8')).split('\n').length - 1,
    left: () => readdir(runtimes).catch(() => []),
    async [Symbol.asyncDispose]() {
      process.env.PATH = PATH;
      delete process.env.VMLET_TEST_LOG;
      await dir.remove();
    },
  };
}

test('ensureRuntime: builds once, and finds the image by its recipe after', async () => {
  await using it = await setUp(BOOTSTRAP);
  const built = await it.ensure();
  expect(built.manifest).toMatchObject({
    name: 'small',
    os: 'Small 1',
    interpreters: { python: { path: '/usr/bin/python3', version: '3.11.2' } },
    filesystem: 'erofs',
  });
  expect(built.imagePath).toBe(join(it.runtimes, `${built.manifest.fileHash}.erofs`));
  expect(await stat(built.imagePath)).toMatchObject({ size: built.manifest.sizeBytes });
  expect(await it.ensure()).toEqual(built);
  expect(await it.builds()).toBe(1);
  expect((await it.left()).sort()).toEqual([
    expect.stringMatching(/^[0-9a-f]{64}\.erofs$/),
    expect.stringMatching(/^small-[0-9a-f]{16}\.json$/),
  ]);
});

test('ensureRuntime: builds anew, when the recipe has changed, or record or image are damaged', async () => {
  await using it = await setUp(BOOTSTRAP);
  const { imagePath } = await it.ensure();
  await writeFile(join(it.recipe, 'recipe.yaml'), RECIPE.replace('A test', 'Another'));
  await it.ensure();
  expect(await it.builds()).toBe(2);
  for (const name of (await it.left()).filter((file) => file.endsWith('.json')))
    await writeFile(join(it.runtimes, name), '{"format":');
  const { imagePath: again } = await it.ensure();
  expect(await it.builds()).toBe(3);
  await chmod(again, 0o600);
  await writeFile(again, 'cut');
  await it.ensure();
  expect(await it.builds()).toBe(4);
  expect(imagePath).toMatch(/erofs$/);
});

test('ensureRuntime: leaves nothing, when a build fails, is aborted, or makes too much', async () => {
  await using failing = await setUp('#!/bin/sh\necho "E: no mirror" >&2; exit 1\n');
  const failure: unknown = await failing.ensure().catch((error) => error);
  expect(failure).toBeInstanceOf(CommandFailed);
  expect(failure).toMatchObject({ stderr: 'E: no mirror\n' });
  expect(await failing.left()).toEqual([]);

  const signal = AbortSignal.abort(new Error('enough'));
  await expect(failing.ensure(signal)).rejects.toThrow('enough');
  expect(await failing.left()).toEqual([]);

  await using large = await setUp(`${BOOTSTRAP}head -c 3000000 /dev/urandom > "$2/large"\n`);
  await expect(large.ensure()).rejects.toThrow(
    /^Cannot build "small": the image has \d+ bytes, expected at most 1048576/,
  );
  expect(await large.left()).toEqual([]);
});

test('ensureRuntime: lays files and links over the packages, and builds anew when a file of the recipe changes', async () => {
  await using it = await setUp(BOOTSTRAP_OVERLAY);
  await writeFile(join(it.recipe, 'hello.sh'), '#!/bin/sh\necho hello\n');
  const files = 'files: [{ path: /bin/hello, mode: "0755", source: hello.sh }]\nlinks: { /bin/hi: hello }\n';
  await writeFile(join(it.recipe, 'recipe.yaml'), RECIPE + files);
  await it.ensure();
  await it.ensure();
  expect(await it.builds()).toBe(1);
  const packed = (await readFile(`${it.log}.tar`, 'utf8')).trim().split('\n');
  expect(packed).toEqual([
    expect.stringMatching(/^-rwxr-xr-x 0\/0 +21 1985-10-26 08:15 bin\/hello$/),
    expect.stringMatching(/^lrwxrwxrwx 0\/0 +0 1985-10-26 08:15 bin\/hi -> hello$/),
  ]);
  await writeFile(join(it.recipe, 'hello.sh'), '#!/bin/sh\necho hello # again\n');
  await it.ensure();
  expect(await it.builds()).toBe(2);
});

test('ensureRuntime: puts an init and its launchers in, where the recipe says so, and builds anew for other ones', async () => {
  await using it = await setUp(BOOTSTRAP_OVERLAY.replace(/^\[ -L.*\n/m, ''));
  const initOf = (hash: string) => async () => ({
    hash,
    async writeTo(folder: string, interpreters: object) {
      await mkdir(join(folder, 'sbin'), { recursive: true });
      await writeFile(join(folder, 'sbin/init'), hash, { mode: 0o555 });
      await mkdir(join(folder, 'root/vmlet'), { recursive: true });
      await writeFile(join(folder, 'root/vmlet/for'), Object.keys(interpreters).join());
    },
  });
  const recipe = RECIPE.replace('init: kit', 'init: image');
  await writeFile(join(it.recipe, 'recipe.yaml'), recipe);
  expect((await it.ensure(undefined, initOf('one'))).manifest.init).toBe('image');
  const packed = (await readFile(`${it.log}.tar`, 'utf8')).trim().split('\n');
  expect(packed).toEqual([
    expect.stringMatching(/^-rw-r--r-- 0\/0 +6 1985-10-26 08:15 root\/vmlet\/for$/),
    expect.stringMatching(/^-r-xr-xr-x 0\/0 +3 1985-10-26 08:15 sbin\/init$/),
  ]);
  await it.ensure(undefined, initOf('one'));
  expect(await it.builds()).toBe(1);
  await it.ensure(undefined, initOf('two'));
  expect(await it.builds()).toBe(2);
  await expect(it.ensure()).rejects.toThrow('"init: image" and no files of an init, expected both or none');

  await writeFile(join(it.recipe, 'recipe.yaml'), `${recipe}links: { /sbin: bin, /bin: usr/bin }\n`);
  await it.ensure(undefined, initOf('one'));
  expect(await readFile(`${it.log}.tar`, 'utf8')).toMatch(/^-r-xr-xr-x .* usr\/bin\/init$/m);
});
