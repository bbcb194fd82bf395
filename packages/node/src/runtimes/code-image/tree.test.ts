import { describe, expect, test } from 'vitest';
import { UNPACK_LIMITS, type UnpackLimits } from './limits.ts';
import { ArchiveTree } from './tree.ts';

const tree = (limits: Partial<UnpackLimits> = {}) => new ArchiveTree({ ...UNPACK_LIMITS, ...limits });
const refused = { code: 'CODE_REFUSED' };

describe('ArchiveTree', () => {
  test('tree: names the folders above an entry once, outermost first', () => {
    const it = tree();
    expect(it.add('a/b/c.py', 'file')).toEqual({ path: 'a/b/c.py', parents: ['a', 'a/b'] });
    expect(it.add('a/b/d.py', 'file')).toEqual({ path: 'a/b/d.py', parents: [] });
    expect(it.add('a/b/', 'directory')).toEqual({ parents: [] });
    expect(it.add('e/', 'directory')).toEqual({ path: 'e', parents: [] });
  });

  test.each(['', '/', '/etc/passwd', '..', '../x', 'a/../b', './a', 'a/.', 'a//b', 'a\\b', 'a\0b', '/../x'])(
    'tree: refuses the path %j',
    (path) => {
      expect(() => tree().add(path, 'file')).toThrow(expect.objectContaining(refused));
    },
  );

  test('tree: refuses a path twice, as what else it may be', () => {
    for (const first of ['file', 'link', 'directory'] as const) {
      for (const second of ['file', 'link', 'directory'] as const) {
        const it = tree();
        it.add('x', first);
        if (first === 'directory' && second === 'directory') expect(it.add('x', second).path).toBeUndefined();
        else expect(() => it.add('x', second)).toThrow('"x" twice');
      }
    }
  });

  test('tree: refuses an entry below a link or a file', () => {
    for (const kind of ['link', 'file'] as const) {
      const it = tree();
      it.add('a', kind);
      expect(() => it.add('a/b', 'file')).toThrow(`"a/b" below the ${kind} "a"`);
      expect(() => it.add('a/b/c/d', 'file')).toThrow(expect.objectContaining(refused));
    }
  });

  test('tree: refuses a link or a file where a folder is implied already', () => {
    const it = tree();
    it.add('a/b', 'file');
    expect(() => it.add('a', 'link')).toThrow('"a" twice');
  });

  test('tree: bounds entries, folders that are implied too, depth and length', () => {
    const few = tree({ maxEntries: 3 });
    few.add('a/b', 'file');
    few.add('c', 'file');
    expect(() => few.add('d', 'file')).toThrow('over 3 entries');
    expect(() => tree({ maxEntries: 3 }).add('a/b/c/d', 'file')).toThrow('over 3 entries');
    expect(() => tree().add(Array(65).fill('a').join('/'), 'file')).toThrow(expect.objectContaining(refused));
    expect(tree().add(Array(64).fill('a').join('/'), 'file').parents).toHaveLength(63);
    expect(() => tree().add('é'.repeat(513), 'file')).toThrow('1026 bytes');
  });

  test('tree: bounds what comes out, in all and for what goes in', () => {
    const it = tree({ maxBytes: 1000, ratioFreeBytes: 100, maxRatio: 10 });
    it.count(100, 1);
    expect(() => it.count(1, 1)).toThrow('zip bomb');
    const large = tree({ maxBytes: 1000 });
    large.count(1000, 1000);
    expect(() => large.count(1, 1000)).toThrow('over 1000 bytes unpacked');
  });

  test.each([
    ['a', 'b'],
    ['a/b', '../c'],
    ['a/b/c', '../../d/./e'],
    ['a', '.'],
    ['a', '...'],
    ['a', '..b'],
  ])('checkLink: lets %j lead to %j', (path, target) => {
    tree().checkLink(path, target);
  });

  test.each([
    ['a', ''],
    ['a', '..'],
    ['a', '../b'],
    ['a', '/etc/passwd'],
    ['a/b', '../../c'],
    ['a/b', 'c/../../../d'],
    ['a', 'b\0c'],
  ])('checkLink: refuses that %j leads to %j', (path, target) => {
    expect(() => tree().checkLink(path, target)).toThrow(expect.objectContaining(refused));
  });
});
