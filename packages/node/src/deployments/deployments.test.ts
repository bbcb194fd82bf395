import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ItemHash } from '@vmlet/messages';
import { describe, expect, test } from 'vitest';
import { openDatabase } from '../store/index.ts';
import { Names, Stops } from './index.ts';
import { nameFault } from './name-rules.ts';
import { insertProgram } from './testing.ts';

const MINE = '0xAb5801a7D398351b8bE11C439e05C5B3259aeC9B';
const THEIRS = '0x0000000000000000000000000000000000000001';
const hash = (digit: string | number) => String(digit).padStart(64, '0') as ItemHash;

/** A database with programs in force, numbered from 1. */
async function open(programs = 12) {
  const dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  const path = join(dir.path, 'node.db');
  const database = openDatabase(path);
  for (let number = 1; number <= programs; number++) insertProgram(database, hash(number), MINE);
  const move = (names: Names, name: string, number: number) =>
    names.move(name, { itemHash: hash(number), address: MINE, nowMs: number });
  return {
    database,
    names: new Names(database),
    stops: new Stops(database),
    move,
    forgetRow: (number: number) => database.prepare('DELETE FROM programs WHERE item_hash = ?').run(hash(number)),
    async [Symbol.asyncDispose]() {
      database.close();
      await dir.remove();
    },
  };
}

const versionsOf = (names: Names, name: string) => names.get(name).versions.map(({ version }) => version);

describe('names', () => {
  test('names: lead to the newest program, and remember those before it, when the node starts again', async () => {
    await using it = await open();
    expect(it.move(it.names, 'web', 1)).toMatchObject({ name: 'web', address: MINE, itemHash: hash(1) });
    it.move(it.names, 'web', 2);
    for (const names of [it.names, new Names(it.database)]) {
      expect(names.list()).toEqual([
        {
          ...{ name: 'web', address: MINE, itemHash: hash(2) },
          versions: [
            { version: 2, itemHash: hash(2), previous: 1, namedMs: 2 },
            { version: 1, itemHash: hash(1), previous: undefined, namedMs: 1 },
          ],
        },
      ]);
    }
  });

  test('names: stay where they are, when they are led to what they lead to', async () => {
    await using it = await open();
    it.move(it.names, 'web', 1);
    it.move(it.names, 'web', 1);
    expect(versionsOf(it.names, 'web')).toEqual([1]);
  });

  test('names: belong to who took them first', async () => {
    await using it = await open();
    it.move(it.names, 'web', 1);
    const theirs = { itemHash: hash(2), address: THEIRS, nowMs: 2 };
    expect(() => it.names.move('web', theirs)).toThrow(
      expect.objectContaining({ code: 'NAME_TAKEN', message: expect.stringContaining(MINE) }),
    );
    // One address in another spelling is the same owner.
    it.names.check('web', { address: MINE.toLowerCase() });
    it.names.remove('web');
    it.names.move('web', theirs);
    expect(it.names.get('web').address).toBe(THEIRS);
  });

  test('names: go back to what served before, step by step, and never to what was left behind', async () => {
    await using it = await open();
    for (const number of [1, 2, 3]) it.move(it.names, 'web', number);
    expect(it.names.rollback('web', { to: undefined }).itemHash).toBe(hash(2));
    expect(it.names.rollback('web', { to: undefined }).itemHash).toBe(hash(1));
    expect(() => it.names.rollback('web', { to: undefined })).toThrow(
      expect.objectContaining({ code: 'NAME_VERSION_UNKNOWN', message: expect.stringContaining('(3, 2, 1)') }),
    );
    // Version 4 came while 1 served: 3 was bad, and stays behind.
    it.move(it.names, 'web', 4);
    expect(it.names.rollback('web', { to: undefined }).itemHash).toBe(hash(1));
  });

  test('names: go to a version by number or by hash', async () => {
    await using it = await open();
    for (const number of [1, 2, 3]) it.move(it.names, 'web', number);
    expect(it.names.rollback('web', { to: '1' }).itemHash).toBe(hash(1));
    expect(it.names.rollback('web', { to: 'v3' }).itemHash).toBe(hash(3));
    expect(it.names.rollback('web', { to: hash(2) }).itemHash).toBe(hash(2));
    for (const to of ['9', '000000', 'x'.repeat(1000), '']) {
      expect(() => it.names.rollback('web', { to })).toThrow(/^Cannot lead the name "web" back: ".{0,64}" is not one/);
    }
    expect(() => it.names.rollback('none', { to: undefined })).toThrow(
      expect.objectContaining({ code: 'NAME_UNKNOWN' }),
    );
  });

  test('names: keep ten versions, and the one that serves', async () => {
    await using it = await open(13);
    it.move(it.names, 'web', 1);
    it.move(it.names, 'web', 2);
    it.names.rollback('web', { to: '1' });
    for (let number = 3; number <= 12; number++) it.move(it.names, 'web', number);
    expect(versionsOf(it.names, 'web')).toEqual([12, 11, 10, 9, 8, 7, 6, 5, 4, 3]);
    it.names.rollback('web', { to: '3' });
    it.move(it.names, 'web', 13);
    expect(versionsOf(it.names, 'web')).toEqual([13, 12, 11, 10, 9, 8, 7, 6, 5, 4]);
    // The one before it has gone: the newest of what is older is none.
    expect(() => it.names.rollback('web', { to: undefined })).toThrow('it has no earlier one');
  });

  test('names: lead nowhere, when their program is forgotten, and are free, when no version is left', async () => {
    await using it = await open();
    for (const number of [1, 2]) it.move(it.names, 'web', number);
    it.forgetRow(2);
    it.names.forget(hash(2));
    expect(it.names.get('web')).toMatchObject({ itemHash: undefined, versions: [{ version: 1 }] });
    expect(new Names(it.database).list()).toEqual(it.names.list());
    expect(it.names.rollback('web', { to: undefined }).itemHash).toBe(hash(1));
    it.move(it.names, 'web', 3);
    expect(versionsOf(it.names, 'web')).toEqual([3, 1]);
    for (const number of [1, 3]) {
      it.forgetRow(number);
      it.names.forget(hash(number));
    }
    expect(it.names.has('web')).toBe(false);
    expect(new Names(it.database).list()).toEqual([]);
  });

  test('names: take another spelling with all their versions', async () => {
    await using it = await open();
    for (const number of [1, 2]) it.move(it.names, 'web', number);
    it.move(it.names, 'other', 3);
    expect(it.names.rename('web', 'site')).toMatchObject({ name: 'site', itemHash: hash(2) });
    expect(it.names.list().map(({ name }) => name)).toEqual(['other', 'site']);
    expect(new Names(it.database).list()).toEqual(it.names.list());
    expect(() => it.names.rename('site', 'other')).toThrow(expect.objectContaining({ code: 'NAME_TAKEN' }));
    expect(() => it.names.rename('site', 'Site')).toThrow(expect.objectContaining({ code: 'NAME_MALFORMED' }));
    expect(() => it.names.rename('web', 'new')).toThrow(expect.objectContaining({ code: 'NAME_UNKNOWN' }));
  });
});

describe('nameFault', () => {
  test.each(['a', '7', 'hello', 'my-app-2', 'a'.repeat(63), 'abcdef', 'app--two'])('nameFault: takes %s', (name) => {
    expect(nameFault(name)).toBeUndefined();
  });

  test.each([
    ...['', 'Hello', 'a b', 'a.b', '-a', 'a-', 'a_b', 'é', 'a'.repeat(64), '../a', 'a/b', 'xn--bcher-kva', 'ab--c'],
    ...['api', 'www', 'localhost', 'wpad'],
    ...['a'.repeat(52), `bafy${'a'.repeat(55)}`, 'f'.repeat(64)],
  ])('nameFault: refuses %j', (name) => {
    expect(nameFault(name)).toEqual(expect.any(String));
  });
});

describe('stops', () => {
  test('stops: hold until the program is started again or forgotten, and outlive the node', async () => {
    await using it = await open();
    it.stops.refuse(hash(1));
    it.stops.add(hash(1), { nowMs: 1 });
    it.stops.add(hash(1), { nowMs: 2 });
    for (const stops of [it.stops, new Stops(it.database)]) {
      expect(() => stops.refuse(hash(1))).toThrow(expect.objectContaining({ code: 'PROGRAM_STOPPED' }));
      expect(stops.has(hash(2))).toBe(false);
    }
    expect([it.stops.delete(hash(1)), it.stops.delete(hash(1))]).toEqual([true, false]);
    expect(new Stops(it.database).has(hash(1))).toBe(false);
    it.stops.add(hash(2), { nowMs: 1 });
    it.forgetRow(2);
    it.stops.forget(hash(2));
    it.stops.refuse(hash(2));
    expect(new Stops(it.database).has(hash(2))).toBe(false);
  });
});
