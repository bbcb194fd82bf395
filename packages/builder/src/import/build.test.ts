import { mkdtempDisposable, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { resolvePaths } from '@vmlet/host';
import { describe, expect, test } from 'vitest';
import { buildImport, type ImportBuild } from './build.ts';
import { ImportError } from './errors.ts';
import { command, type TestLayout, writeLayout } from './layout.testing.ts';
import { parseSource } from './source.ts';
import { type TestEntry, tarOf } from './testing.ts';

const ENTRIES: TestEntry[] = [
  { name: 'etc/' },
  { name: 'etc/os-release', content: 'PRETTY_NAME="Test 1"\nID=test\n' },
  { name: 'srv/page', content: 'hello', uid: 33, gid: 33 },
  { name: 'dev/null', kind: 'character', devmajor: 1, devminor: 3 },
  { name: 'srv/of-nobody', content: 'x', uid: 4_000_000, mode: 0o4755 },
  { name: 'srv/labelled', content: 'x', xattrs: new Map([['security.selinux', Buffer.from('x')]]) },
];
const CONFIG = {
  ...{ Entrypoint: ['/bin/web'], Cmd: null, Env: ['A=b=c', 'PATH=/bin', 'EMPTY'], User: 'web:staff' },
  ...{ WorkingDir: '/srv', ExposedPorts: { '443/tcp': {}, '80': {} }, Labels: { a: 'b' }, StopSignal: 'SIGQUIT' },
};

/** A cache of its own, with what is kept to open boxes by shared. */
async function setUp() {
  const dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  const cache = join(dir.path, 'cache');
  await command('mkdir', '-p', cache);
  const steps: string[] = [];
  const shared = resolvePaths().cache;
  await command('cp', '-r', join(shared, 'box'), cache).catch(() => '');
  return {
    dir: dir.path,
    cache,
    steps,
    images: async () => (await readdir(join(cache, 'runtimes'))).sort(),
    async build(text: string, more: Partial<ImportBuild> = {}) {
      return await buildImport(await parseSource(text, dir.path), {
        ...{ cache, name: 'test', version: '1', filesystem: { format: 'erofs', compression: 'lz4hc', maxSizeMiB: 64 } },
        onProgress: (step) => steps.push(step),
        ...more,
      });
    },
    layout: async (name: string, more: Partial<TestLayout> = {}) =>
      await writeLayout(join(dir.path, name), { layers: [await tarOf(ENTRIES)], config: CONFIG, ...more }),
    [Symbol.asyncDispose]: () => dir.remove(),
  };
}

describe('buildImport', () => {
  test('buildImport: makes an image and says what it is, how it is run, and what was left out', async () => {
    await using it = await setUp();
    await it.layout('layout');
    const { manifest, imagePath, cached, notes } = await it.build('oci:layout:test');
    expect(manifest).toMatchObject({
      ...{ name: 'test', version: '1', os: 'Test 1', filesystem: 'erofs', init: 'kit', interpreters: {}, epoch: 1 },
      config: {
        ...{ entrypoint: ['/bin/web'], env: { A: 'b=c', PATH: '/bin', EMPTY: '' }, user: 'web:staff', workdir: '/srv' },
        ...{ exposedPorts: ['80/tcp', '443/tcp'], labels: { a: 'b' }, stopSignal: 'SIGQUIT' },
      },
    });
    expect(manifest.config).not.toHaveProperty('cmd');
    expect(notes).toEqual([
      '1 device file left out: a machine makes its own',
      '1 extended attribute left out that only count where the image came from',
      '1 file of an owner above 65535 given to nobody (65534)',
    ]);
    expect(cached).toBe(false);
    const tree = join(it.dir, 'tree');
    await command('fsck.erofs', `--extract=${tree}`, imagePath);
    expect(await readFile(join(tree, 'srv/page'), 'utf8')).toBe('hello');
    expect(await command('stat', '-c', '%a', join(tree, 'srv/of-nobody'))).toBe('755\n');
    expect(await it.images()).toEqual([
      `${manifest.fileHash}.erofs`,
      expect.stringMatching(/^test-[0-9a-f]{16}\.json$/),
      expect.stringMatching(/^test-[0-9a-f]{16}\.spdx\.json$/),
    ]);
  });

  test('buildImport: asks the interpreters that it finds on the image’s PATH for their versions, inside', async () => {
    await using it = await setUp();
    const program = join(it.dir, 'program');
    await writeFile(`${program}.c`, '#include <stdio.h>\nint main(void) { puts("Python 3.99.1"); }');
    await command('gcc', '-static', '-s', '-o', program, `${program}.c`);
    const entries: TestEntry[] = [
      { name: 'opt/bin/python3.99', content: await readFile(program), mode: 0o755 },
      { name: 'opt/bin/python3', kind: 'symlink', linkname: '/opt/bin/python3.99' },
      { name: 'bin/node', content: 'no program', mode: 0o755 },
    ];
    await it.layout('layout', { layers: [await tarOf(entries)], config: { Env: ['PATH=/bin:/opt/bin'] } });
    const { manifest } = await it.build('oci:layout');
    expect(manifest.interpreters).toEqual({ python: { path: '/opt/bin/python3', version: '3.99.1' } });
  });

  test('buildImport: takes the same source from the cache, and makes the same image anew elsewhere', async () => {
    await using it = await setUp();
    await using other = await setUp();
    await it.layout('layout');
    await other.layout('another-place');
    const { manifest } = await it.build('oci:layout');
    it.steps.length = 0;
    expect(await it.build('oci:layout')).toMatchObject({ cached: true, manifest });
    expect(it.steps).toEqual([]);
    expect((await other.build('oci:another-place')).manifest.fileHash).toBe(manifest.fileHash);
    const layer = await tarOf(ENTRIES);
    for (const [name, bytes] of Object.entries({
      't.tar': layer,
      't.tar.gz': gzipSync(layer),
      't.zst': zstdCompressSync(layer),
    })) {
      await writeFile(join(it.dir, name), bytes);
      expect((await it.build(`tar:${name}`)).manifest.fileHash, name).toBe(manifest.fileHash);
    }
    await it.build('oci:layout', { filesystem: { format: 'ext4', maxSizeMiB: 64 } });
    expect(await it.images()).toContainEqual(expect.stringMatching(/\.ext4$/));
  });

  test('buildImport: builds a folder anew, when a file of it has changed', async () => {
    await using it = await setUp();
    await command('mkdir', '-p', join(it.dir, 'tree/etc'));
    await writeFile(join(it.dir, 'tree/etc/a'), 'a');
    const before = await it.build('dir:tree');
    expect(await it.build('dir:tree')).toMatchObject({ cached: true });
    await writeFile(join(it.dir, 'tree/etc/a'), 'b');
    const after = await it.build('dir:tree');
    expect(after.cached).toBe(false);
    expect(after.manifest.fileHash).not.toBe(before.manifest.fileHash);
    expect(after.manifest).not.toHaveProperty('config');
  });

  test.each<[string, Partial<TestLayout>, RegExp]>([
    [
      'a layer of other bytes',
      { change: ({ manifest }) => digestsOf(manifest, 'layers', 'sha256:'.padEnd(71, 'a')) },
      /layer 1, "blobs\/sha256\/a+", is not there/,
    ],
    [
      'a layer whose content is another',
      { change: ({ config }) => Object.assign(config, { rootfs: { diff_ids: ['sha256:'.padEnd(71, 'b')] } }) },
      /layer 1.*: the digest of its content is sha256:[0-9a-f]{64}, expected sha256:b+/,
    ],
    [
      'a digest that is a path',
      { change: ({ manifest }) => digestsOf(manifest, 'layers', 'sha256:../../../etc/passwd') },
      /the digest "sha256:\.\.\/\.\.\/\.\.\/etc\/passwd", expected "sha256:"/,
    ],
    [
      'another platform',
      { platform: { os: 'linux', architecture: 'arm64' } },
      /built for "linux\/arm64", expected "linux\/amd64"/,
    ],
    [
      'several platforms, none of them this one',
      { change: ({ index }) => platforms(index, ['linux/arm64', 'windows/amd64']) },
      /none for this platform, but for "linux\/arm64", "windows\/amd64", expected "linux\/amd64"/,
    ],
    [
      'an artifact',
      {
        change: ({ manifest }) =>
          Object.assign((manifest as { config?: object }).config ?? {}, { mediaType: 'text/plain' }),
      },
      /its configuration is of the type "text\/plain", expected the configuration of an image/,
    ],
    [
      'fewer digests than layers',
      { change: ({ config }) => Object.assign(config, { rootfs: { diff_ids: [] } }) },
      /1 layers, and 0 digests of them/,
    ],
    [
      'a document that does not fit',
      { change: ({ index }) => Object.assign(index, { schemaVersion: 1 }) },
      /"index\.json": "schemaVersion": .*, expected a document of an OCI/,
    ],
  ])('buildImport: refuses %s, and leaves nothing', async (_, layout, words) => {
    await using it = await setUp();
    await it.layout('layout', layout);
    const building = it.build('oci:layout');
    await expect(building).rejects.toBeInstanceOf(ImportError);
    await expect(building).rejects.toThrow(words);
    expect(await it.images()).toEqual([]);
  });

  test('buildImport: refuses layers that were damaged, and images that are too large', async () => {
    await using it = await setUp();
    const layout = await it.layout('layout');
    await expect(it.build('oci:layout:other')).rejects.toThrow(/no such tag in the layout, expected one of "test"/);
    const small = { format: 'ext4', maxSizeMiB: 1 } as const;
    const big = await writeLayout(join(it.dir, 'big'), {
      layers: [await tarOf([{ name: 'a', content: randomText() }])],
    });
    await expect(it.build(`oci:${big}`, { filesystem: small })).rejects.toThrow(/at most 1048576|1 MiB/);
    const hex = JSON.parse(await readFile(join(layout, 'index.json'), 'utf8')).manifests[0].digest.slice(7);
    const { layers } = JSON.parse(await readFile(join(layout, 'blobs/sha256', hex), 'utf8'));
    const blob = join(layout, 'blobs/sha256', layers[0].digest.slice(7));
    const bytes = await readFile(blob);
    bytes[600] = (bytes[600] ?? 0) ^ 1;
    await writeFile(blob, bytes);
    await expect(it.build('oci:layout')).rejects.toThrow(/its digest is sha256:[0-9a-f]{64}, expected sha256:/);
    expect(await it.images()).toEqual([]);
  });

  test('buildImport: chooses the image for this platform out of several', async () => {
    await using it = await setUp();
    await it.layout('layout', {
      change: ({ index }) => platforms(index, ['linux/arm64', 'linux/amd64', 'unknown/unknown']),
    });
    expect((await it.build('oci:layout')).manifest.os).toBe('Test 1');
  });

  test.each([
    ['web.tar', /no such source, expected oci:PATH, docker:PATH, tar:FILE or dir:PATH/],
    ['oci:', /no such source/],
    ['oci:nowhere:tag', /nothing at ".*\/nowhere:tag"/],
    ['dir:nowhere', /nothing at ".*", expected a folder/],
    ['oci:.', /neither "index\.json" nor "manifest\.json" in it/],
    ['tar:.', /no file, expected an archive/],
    ['dir:file', /no folder, expected a folder/],
    ['docker:file', /a header with a wrong checksum|it ends in the middle/],
  ])('buildImport: says what is wrong with the source "%s"', async (text, words) => {
    await using it = await setUp();
    await writeFile(join(it.dir, 'file'), 'text');
    await expect(it.build(text)).rejects.toThrow(words);
  });
});

function digestsOf(manifest: object, member: string, digest: string): void {
  for (const one of (manifest as Record<string, object[]>)[member] ?? []) Object.assign(one, { digest });
}

/** The one image, for each of several platforms. */
function platforms(index: object, names: readonly string[]): void {
  const [first] = (index as { manifests?: object[] }).manifests ?? [];
  if (first === undefined) return;
  const of = (name: string) => ({ os: name.split('/')[0], architecture: name.split('/')[1] });
  Object.assign(index, { manifests: names.map((name) => ({ ...first, platform: of(name) })) });
}

function randomText(): string {
  return Array.from({ length: 400_000 }, () => Math.random().toString(36).slice(2, 8)).join('');
}
