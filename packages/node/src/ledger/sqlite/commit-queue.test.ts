import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openDatabase } from '../../store/index.ts';
import type { LedgerEvent } from '../events.ts';
import { CommitQueue } from './commit-queue.ts';

const migrations = [
  { version: 1, up: 'CREATE TABLE a (x INTEGER PRIMARY KEY, blob BLOB, parent INTEGER REFERENCES a (x)) STRICT' },
];

async function setUp() {
  const stack = new AsyncDisposableStack();
  const dir = stack.adopt(await mkdtempDisposable(join(tmpdir(), 'vmlet-test-')), (one) => one.remove());
  const database = stack.adopt(openDatabase(join(dir.path, 'a.db'), { migrations }), (one) => void one.close());
  const insert = database.prepare<[number, Buffer | null, number | null]>('INSERT INTO a VALUES (?, ?, ?)');
  const steps = { commits: 0, told: [] as LedgerEvent[], failing: false };
  const queue = new CommitQueue(database, {
    beforeCommit: () => {
      steps.commits += 1;
      if (steps.failing) throw new Error('beforeCommit failed');
    },
    tell: (event) => void steps.told.push(event),
  });
  const run = (x: number, { bytes = 0, parent = null, fails = false }: Options = {}) =>
    queue.run(() => {
      insert.run(x, bytes > 0 ? Buffer.alloc(bytes, 1) : null, parent);
      if (fails) throw new Error(`change ${x} failed`);
      return { events: [], value: x };
    });
  const rows = () => database.prepare<[], number>('SELECT x FROM a ORDER BY x').pluck().all();
  return { database, run, rows, steps, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

interface Options {
  bytes?: number;
  parent?: number | null;
  fails?: boolean;
}

test('run: commits what comes at the same time in one transaction, up to so many', async () => {
  await using it = await setUp();
  const numbers = Array.from({ length: 100 }, (_, index) => index);
  const committed = await Promise.all(numbers.map((x) => it.run(x)));
  expect(committed.map(({ value }) => value)).toEqual(numbers);
  expect([it.rows(), it.steps.commits]).toEqual([numbers, 1]);
  await Promise.all(Array.from({ length: 300 }, (_, index) => it.run(100 + index)));
  expect([it.rows().length, it.steps.commits]).toEqual([400, 3]);
});

test('run: undoes what fails, and nothing of its neighbours', async () => {
  await using it = await setUp();
  const results = await Promise.allSettled([it.run(1), it.run(2, { fails: true }), it.run(1), it.run(3)]);
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled']);
  expect(it.rows()).toEqual([1, 3]);
});

test('run: a broken reference costs its own change, and it may come before what it refers to', async () => {
  await using it = await setUp();
  const results = await Promise.allSettled([it.run(1, { parent: 2 }), it.run(2), it.run(3, { parent: 9 })]);
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected']);
  expect(it.rows()).toEqual([2]);
  await Promise.all([it.run(1, { parent: 4 }), it.run(4)]);
  expect(it.rows()).toEqual([1, 2, 4]);
});

test('run: commits what fits, when the disk has no room for one of them', async () => {
  await using it = await setUp();
  it.database.pragma('max_page_count = 20');
  const results = await Promise.allSettled([it.run(1), it.run(2, { bytes: 10_000_000 }), it.run(3)]);
  expect(results.map((one) => (one.status === 'rejected' ? one.reason : one.status))).toEqual([
    'fulfilled',
    expect.objectContaining({ code: 'STORAGE_FULL' }),
    'fulfilled',
  ]);
  expect(it.rows()).toEqual([1, 3]);
});

test('run: tells nothing and keeps nothing, when the commit itself fails', async () => {
  await using it = await setUp();
  it.steps.failing = true;
  const results = await Promise.allSettled([it.run(1), it.run(2)]);
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  it.steps.failing = false;
  expect(await it.run(3)).toEqual({ events: [], value: 3 });
  expect([it.rows(), it.steps.told]).toEqual([[3], []]);
});
