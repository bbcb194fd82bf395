import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RecipeError } from '../recipe.ts';
import { differences, type Lock, lockText, parseLock } from './lock.ts';

const RUNS = process.env.VMLET_TEST_ALL === undefined ? 3000 : 100_000;

const LOCK: Lock = {
  format: 1,
  request: {
    ...{ distribution: 'debian', suite: 'bookworm', components: ['main'], architecture: 'amd64', variant: 'minbase' },
    ...{ packages: ['a-package'], keyrings: [], npm: [] },
  },
  epochSeconds: 1_714_521_600,
  packages: [
    {
      ...{ name: 'a-package', version: '1:2.0~rc1-1+b2', architecture: 'amd64', sha256: 'ab'.repeat(32) },
      ...{ sizeBytes: 1, path: 'pool/main/a/a-package/a-package_2.0%7erc1-1%2bb2_amd64.deb' },
    },
  ],
  npm: [{ package: 'tool', version: '1.2.3', integrity: 'sha512-x' }],
};

test('parseLock: reads what was written, one package a line', () => {
  expect(parseLock(lockText(LOCK), 'recipe.lock')).toEqual(LOCK);
  expect(
    lockText(LOCK)
      .split('\n')
      .filter((line) => line.includes('a-package_2.0')),
  ).toHaveLength(1);
  const based = { ...LOCK, base: 'cd'.repeat(32), request: { ...LOCK.request, extends: 'theirs@2' } };
  expect(parseLock(lockText(based), 'recipe.lock')).toEqual(based);
});

const locked = (changed: object) => JSON.stringify({ ...LOCK, packages: [{ ...LOCK.packages[0], ...changed }] });

test.each([
  ['a path that goes up', locked({ path: 'pool/../../etc/passwd' })],
  ['a path from the root', locked({ path: '/etc/passwd' })],
  ['a path with a space', locked({ path: 'pool/a b' })],
  ['a name of the shell', locked({ name: '$(id)' })],
  ['a version of the shell', locked({ version: '1;id' })],
  ['a hash that is a path', locked({ sha256: '../../x' })],
  ['a member that nobody knows', locked({ postinst: 'id' })],
  ['a newer format', JSON.stringify({ ...LOCK, format: 2 })],
  ['text that is no JSON', '{'],
  ['too much', `"${'x'.repeat(5 * 1024 * 1024)}"`],
])('parseLock: refuses %s, and says where and what to do', (_name, text) => {
  const read = () => parseLock(text, 'recipe.lock');
  expect(read).toThrow(RecipeError);
  expect(read).toThrow(/^recipe\.lock:1: .*; remove it to have it written anew$/);
});

test('parseLock: takes any text for a lock or refuses it, and a changed one never names another place', () => {
  const whole = lockText(LOCK);
  const change = fc.tuple(fc.nat(whole.length - 1), fc.string({ maxLength: 8 }));
  fc.assert(
    fc.property(change, ([at, text]) => {
      try {
        const lock = parseLock(whole.slice(0, at) + text + whole.slice(at + text.length), 'recipe.lock');
        for (const { path, name, sha256 } of lock.packages) {
          expect(path.split('/')).not.toContain('..');
          expect(`${name} ${sha256}`).toMatch(/^[a-z0-9+.-]+ [0-9a-f]{64}$/);
        }
      } catch (error) {
        expect(error).toBeInstanceOf(RecipeError);
      }
    }),
    { numRuns: RUNS },
  );
});

test('differences: names what a recipe wants now and did not then', () => {
  expect(differences(LOCK.request, LOCK.request)).toEqual([]);
  expect(differences({ ...LOCK.request, packages: ['other'], suite: 'trixie' }, LOCK.request)).toEqual([
    { member: 'suite', what: 'expected "bookworm" as in the lock file, found "trixie"' },
    { member: 'packages', what: 'expected "a-package" as in the lock file, found "other"' },
  ]);
});
