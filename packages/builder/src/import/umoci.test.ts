import { mkdtempDisposable, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resolvePaths } from '@vmlet/host';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Box, openBox } from '../box/index.ts';
import { importTree, readTree, TREE } from './import-tree.ts';
import { command, listing, writeLayout } from './layout.testing.ts';
import { openSource } from './open-source.ts';
import { parseSource } from './source.ts';
import { type TestEntry, tarOf } from './testing.ts';

let dir: Awaited<ReturnType<typeof mkdtempDisposable>>;
let box: Box;
beforeAll(async () => {
  dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  box = await openBox(join(dir.path, 'boxes'), 'umoci', resolvePaths());
});
afterAll(async () => {
  await box[Symbol.asyncDispose]();
  await dir.remove();
});

/** Runs a command in the box, which is root there whoever runs the test. */
async function inBox(name: string, ...args: string[]): Promise<string> {
  return await box.run([name, ...args]);
}

/** What of an image stands in a box in the end. */
async function imported(text: string): Promise<string[]> {
  await box.run(['rm', '-rf', TREE]);
  const options = { work: dir.path, box: () => Promise.resolve(box) };
  const source = await openSource(await parseSource(text, box.work), options);
  const { config } = await importTree(box, { source, folded: await readTree(source, {}) }, {});
  expect(config).toBeTypeOf('object');
  return await listing(TREE, box);
}

/** What umoci makes of the same image. */
async function unpacked(image: string): Promise<string[]> {
  await inBox('rm', '-rf', 'bundle');
  await inBox('umoci', 'unpack', '--image', image, 'bundle');
  return await listing('bundle/rootfs', box);
}

/** Does to a tree what a script says. */
async function change(tree: string, script: string): Promise<void> {
  await box.run(['sh', '-euc', `cd "$1" && ${script}`, 'sh', tree], { env: { SET_ATTRIBUTES: ATTRIBUTES } });
}

/** An image of umoci's own, in three layers: each is what a script does to the root filesystem. */
async function makeImage(layout: string, scripts: readonly string[]): Promise<void> {
  const image = `${layout}:test`;
  await inBox('umoci', 'init', '--layout', layout);
  await inBox('umoci', 'new', '--image', image);
  for (const [index, script] of scripts.entries()) {
    const bundle = `${layout}-${index}`;
    await inBox('umoci', 'unpack', '--image', image, bundle);
    await change(`${bundle}/rootfs`, script);
    await inBox('umoci', 'repack', '--image', image, bundle);
  }
  await inBox('umoci', 'config', '--image', image, '--os', 'linux', '--architecture', 'amd64');
}

/** A note, and what lets a program bind low ports. */
const ATTRIBUTES = `
import os, struct, sys
os.setxattr(sys.argv[1], "user.note", b"a b\\0\\xff")
os.setxattr(sys.argv[2], "security.capability", struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0))
`;
const SCRIPTS = [
  `mkdir -p etc usr/bin var/lib/a/b && echo one > etc/one && echo two > etc/two && ln etc/one etc/one-too &&
   printf run > usr/bin/su && chmod 4755 usr/bin/su && ln -s usr/bin bin && mkfifo var/pipe && chown 100:200 var/lib/a &&
   chmod 1777 var/lib && echo x > var/lib/a/b/c && touch -d @1000000000 etc/two && ln -s ../../nowhere var/dangling &&
   touch "$(printf 'etc/latin-\\351')" && mkdir -p "usr/$(printf '%0120d' 1)/$(printf '%0120d' 2)" &&
   python3 -c "$SET_ATTRIBUTES" etc/one usr/bin/su && chown 65534:65534 etc/two`,
  `rm -r var/lib/a && rm etc/two && mkdir etc/two && echo in > etc/two/in && rm etc/one-too && echo more >> etc/one &&
   chmod 700 usr && ln etc/two/in etc/in-too && rm var/pipe && echo file > var/pipe`,
  `rm -r etc/two && echo back > etc/two && mkdir -p var/lib/a && echo new > var/lib/a/new && rm bin && mkdir bin &&
   echo sh > bin/sh && chown 1000:1000 bin/sh && ln var/lib/a/new var/lib/a/newer`,
];

describe('importTree', () => {
  test('importTree: makes the tree that umoci makes, of layers of umoci', async () => {
    await makeImage('own', SCRIPTS);
    const expected = await unpacked('own:test');
    expect(expected.join('\n')).toContain('etc/in-too');
    expect(await imported('oci:own:test')).toEqual(expected);
    const copy = ['skopeo', '--insecure-policy', 'copy', '--quiet', 'oci:own:test'] as const;
    await box.run([...copy, 'docker-archive:docker.tar:own:test']);
    await box.run([...copy, 'oci-archive:oci.tar:test']);
    await inBox('gzip', '--keep', 'docker.tar', 'oci.tar');
    await inBox('xz', '--keep', '-0', 'docker.tar', 'oci.tar');
    for (const source of [
      'docker:docker.tar:own:test',
      'docker:docker.tar.gz',
      'docker:docker.tar.xz',
      'oci:docker.tar',
    ])
      expect(await imported(source), source).toEqual(expected);
    for (const source of ['oci:oci.tar', 'oci:oci.tar.gz:test', 'oci:oci.tar.xz'])
      expect(await imported(source), source).toEqual(expected);
  });

  test('importTree: keeps a tar as it is, however it is packed', async () => {
    await inBox('mkdir', 'folder');
    await change('folder', SCRIPTS[0] ?? '');
    const expected = await listing('folder', box);
    await inBox('tar', '--xattrs', '--xattrs-include=*', '--format=posix', '-C', 'folder', '-cf', 'folder.tar', '.');
    for (const [pack, options] of Object.entries({ gzip: '-k', xz: '-k0', zstd: '-qk' }))
      await inBox(pack, options, 'folder.tar');
    for (const ending of ['', '.gz', '.xz', '.zst'])
      expect(await imported(`tar:folder.tar${ending}`), ending).toEqual(expected);
  });

  test('importTree: keeps a folder as it is, and gives to root what belongs to who imports it', async () => {
    const folder = join(dir.path, 'folder');
    const script = `mkdir -p etc bin && echo one > etc/one && ln etc/one etc/two && ln -s /bin/sh bin/sh && mkfifo bin/pipe &&
      touch -d @1000000000 etc/old && chmod 4700 etc/old && python3 -c 'import os; os.setxattr("etc/one", "user.a", b"b")'`;
    await command('mkdir', folder);
    await command('sh', '-euc', `cd "$1" && ${script}`, 'sh', folder);
    const ids = ` ${process.getuid?.()} ${process.getgid?.()} `;
    const expected = (await listing(folder)).map((line) => line.replace(ids, ' 0 0 '));
    expect(await imported(`dir:${folder}`)).toEqual(expected);
  });

  test('importTree: makes the tree that umoci makes, of any layers', async () => {
    const names = ['a', 'b', 'a/a', 'a/b', 'b/a', 'a/a/a'];
    const name = fc.constantFrom(...names);
    const entry: fc.Arbitrary<TestEntry> = fc.oneof(
      name.map((path) => ({ name: path, content: path })),
      name.map((path) => ({ name: `${path}/` })),
      fc.record({ name, kind: fc.constant('symlink' as const), linkname: fc.constantFrom('nowhere', '../x') }),
      fc.record({ name, kind: fc.constant('link' as const), linkname: name }),
      name.map((path) => ({ name: path.replace(/([^/]+)$/, '.wh.$1'), content: '' })),
      name.map((path) => ({ name: `${path}/.wh..wh..opq`, content: '' })),
    );
    const layers = fc.array(fc.array(entry, { maxLength: 5 }), { minLength: 1, maxLength: 4 });
    let made = 0;
    let compared = 0;
    await fc.assert(
      fc.asyncProperty(layers, async (entries) => {
        const folder = join(dir.path, `random-${made++}`);
        await writeLayout(folder, { layers: await Promise.all(entries.map(tarOf)) });
        const ours = await imported(`oci:${folder}`).catch(() => undefined);
        await box.run(['sh', '-c', 'rm -rf random && cp -r /layout random'], { readOnly: { [folder]: '/layout' } });
        const theirs = await unpacked('random:test').catch(() => undefined);
        await rm(folder, { recursive: true });
        if (ours === undefined || theirs === undefined) return;
        compared += 1;
        // The times of folders that no layer names are whoever's.
        const plain = (lines: string[]) => lines.filter((line) => !/ 0o40/.test(line));
        expect(plain(ours)).toEqual(plain(theirs));
      }),
      { numRuns: process.env.VMLET_TEST_ALL ? 1000 : 25 },
    );
    expect(compared).toBeGreaterThan(5);
  });
});
