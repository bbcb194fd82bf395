import { describe, expect, test } from 'vitest';
import { ImportError } from './errors.ts';
import { fold, type TestEntry } from './testing.ts';

const file = (name: string, content = name): TestEntry => ({ name, content });
const link = (name: string, linkname: string): TestEntry => ({ name, kind: 'link', linkname });
const symlink = (name: string, linkname: string): TestEntry => ({ name, kind: 'symlink', linkname });
const folder = (name: string): TestEntry => ({ name: `${name}/` });

describe('readLayers', () => {
  test.each<[string, TestEntry[][], Record<string, string>]>([
    ['a later file over an earlier one', [[file('a', 'one')], [file('./a', 'two')]], { a: 'two' }],
    ['the last of two in one layer', [[file('a', 'one'), file('a', 'two')]], { a: 'two' }],
    ['a file that is gone', [[file('a'), file('b')], [file('.wh.a', '')]], { b: 'b' }],
    ['a folder that is gone', [[file('d/a'), file('d/e/f')], [file('.wh.d', '')]], {}],
    ['one that is gone and back', [[file('a', '1')], [file('.wh.a', '')], [file('a', '3')]], { a: '3' }],
    [
      'what an opaque folder hides, but not what its layer puts there',
      [
        [file('d/a'), file('d/e/f')],
        [folder('d'), file('d/.wh..wh..opq', ''), file('d/b')],
      ],
      { 'd/b': 'd/b', d: '/' },
    ],
    [
      'the mark of an opaque folder behind what its layer puts there',
      [
        [file('d/a'), file('d/e/f')],
        [folder('d'), file('d/b'), file('d/e/g'), file('d/.wh..wh..opq', '')],
      ],
      { 'd/b': 'd/b', 'd/e/g': 'd/e/g', d: '/', 'd/e': '/' },
    ],
    [
      'a mark for a name that its own layer has too',
      [[file('a', 'lower')], [file('a', 'upper'), file('.wh.a', '')]],
      { a: 'upper' },
    ],
    ['a mark for what is not there', [[file('a')], [file('no/such/.wh.b', '')]], { a: 'a' }],
    ['a mark below what is no folder any more', [[file('a/b')], [file('a'), file('a/.wh.b', '')]], { a: 'a' }],
    ['what AUFS left of itself', [[file('.wh..wh.plnk/1.2'), file('.wh..wh.aufs', ''), file('a')]], { a: 'a' }],
    ['a file in place of a folder', [[file('a/b')], [file('a', 'now')]], { a: 'now' }],
    ['a folder in place of a file', [[file('a')], [folder('a'), file('a/b')]], { a: '/', 'a/b': 'a/b' }],
    [
      'a file that was a folder that was a file',
      [[file('a', '1')], [folder('a'), file('a/b')], [file('a', '3')]],
      { a: '3' },
    ],
    ['a link in place of a folder', [[file('a/b')], [symlink('a', 'c')]], { a: '-> c' }],
    [
      'a folder in place of a link',
      [
        [file('b/x'), symlink('a', 'b')],
        [folder('a'), file('a/y')],
      ],
      { a: '/', b: '/', 'b/x': 'b/x', 'a/y': 'a/y' },
    ],
    ['hard links, the first by name as the file', [[file('z', 'z'), link('b', 'z')]], { b: 'z', z: '= b' }],
    ['a hard link to a file of a layer below', [[file('a', 'x')], [link('b', '/a')]], { a: 'x', b: '= a' }],
    ['a file that leaves its links', [[file('a', 'old'), link('b', 'a')], [file('a', 'new')]], { a: 'new', b: 'old' }],
    ['a hard link whose first name is gone', [[file('a', 'x'), link('b', 'a')], [file('.wh.a', '')]], { b: 'x' }],
    ['a hard link to a link', [[symlink('a', 'nowhere'), link('b', 'a')]], { a: '-> nowhere', b: '= a' }],
    [
      'an entry below a link, put where it leads',
      [[folder('usr'), symlink('lib', 'usr/lib')], [file('lib/x')]],
      { usr: '/', 'usr/lib': '/', lib: '-> usr/lib', 'usr/lib/x': 'lib/x' },
    ],
    [
      'an absolute link, followed inside',
      [[symlink('etc', '/data/../data/etc')], [file('etc/passwd', 'x')]],
      { etc: '-> /data/../data/etc', data: '/', 'data/etc': '/', 'data/etc/passwd': 'x' },
    ],
    [
      'a link that leads up, no further than the root',
      [[symlink('up', '../../../..')], [file('up/x')]],
      { up: '-> ../../../..', x: 'up/x' },
    ],
  ])('readLayers: makes one tree of %s', async (_, layers, expected) => {
    expect(await fold(layers)).toEqual({ './': '/', ...expected, ...foldersOf(expected) });
  });

  test('readLayers: takes marks as names in a tar that is no layer', async () => {
    const layers = [[file('.wh.a', 'mine'), file('d/.wh..wh..opq', 'too')]];
    expect(await fold(layers, { whiteouts: false })).toMatchObject({ '.wh.a': 'mine', 'd/.wh..wh..opq': 'too' });
  });

  test.each<[string, TestEntry[][], RegExp]>([
    ['a path that leads up', [[file('a/../../etc/passwd')]], /"a\/\.\.\/\.\.\/etc\/passwd" leads up by "\.\."/],
    ['a hard link that leads up', [[link('a', '../secret')]], /"\.\.\/secret" leads up by/],
    ['a hard link to nothing', [[link('a', 'b')]], /"a" is a hard link to "b", which is not there, expected a file/],
    ['a hard link to a folder', [[folder('b'), link('a', 'b')]], /is a hard link to "b", a folder/],
    ['a link to itself on the way', [[symlink('a', 'a'), file('a/b')]], /is below a link that leads to itself/],
    ['a file on the way', [[file('a'), file('a/b')]], /"a\/b" is below "a", which is no folder/],
    ['a name that is too long', [[file('x'.repeat(256))]], /a name of 256 bytes, expected at most 4096, and 255/],
    ['an empty link', [[symlink('a', '')]], /is a link to 0 bytes/],
  ])('readLayers: refuses %s', async (_, layers, words) => {
    const folding = fold(layers);
    await expect(folding).rejects.toBeInstanceOf(ImportError);
    await expect(folding).rejects.toThrow(words);
    await expect(folding).rejects.toThrow(/^Cannot import .*: .*, expected [^.]*[^.]$/);
  });

  test.each<[string, TestEntry[][], object, RegExp]>([
    ['entries', [[file('a'), file('b'), file('c')]], { entries: 2 }, /"c" is one entry more than 2/],
    ['folders that entries imply', [[file('a/b/c/d')]], { entries: 3 }, /one entry more than 3/],
    ['files', [[file('a', 'x'.repeat(60)), file('b', 'x'.repeat(60))]], { treeBytes: 100 }, /at "b", expected less/],
    ['layers', [[], [], []], { layers: 2 }, /3 layers, expected at most 2/],
    ['what unpacks', [[file('a', 'x'.repeat(9000))]], { layerBytes: 4000 }, /more than 4000 bytes when unpacked/],
    ['names', [[file('a'.repeat(90)), file('b'.repeat(90))]], { namesBytes: 100 }, /100 bytes of names/],
    [
      'folders in folders',
      [[file('a/a/a/a/a')]],
      { depth: 3 },
      /"a\/a\/a\/a\/a" is 5 folders deep, expected at most 3/,
    ],
    ['folders behind links', [[symlink('b', 'a/a/a/a'), file('b/c')]], { depth: 3 }, /is too many folders deep/],
    ['a long name', [[file(`${'d/'.repeat(1000)}a`)]], { headerBytes: 1000 }, /a header of 2002 bytes/],
  ])('readLayers: refuses too many or too large: %s', async (_, layers, limits, words) => {
    await expect(fold(layers, { limits })).rejects.toThrow(words);
  });
});

/** The folders of the paths that are expected, which need not be named. */
function foldersOf(paths: Record<string, string>): Record<string, string> {
  const above = (path: string) => path.split('/').slice(0, -1);
  const folders = Object.keys(paths).flatMap((path) => above(path).map((_, index, parts) => parts.slice(0, index + 1)));
  return Object.fromEntries(folders.map((parts) => [parts.join('/'), '/']));
}
