import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openDatabase } from '../../store/index.ts';
import type { LedgerDatabase } from '../sqlite/ledger-database.ts';
import type { MessageStatus } from '../state.ts';
import type { ListKey } from './list-key.ts';
import { type Lists, openLists, type Selection } from './lists.ts';
import type { FacetKind } from './places.ts';
import { hashOf, type MadeMessage, MessageRows } from './testing.ts';

const EVM = (digit: string) => `0x${digit.repeat(40)}`;
const ADDRESSES = [EVM('a'), EVM('A'), EVM('b'), 'SoLaddress', 'soladdress'];
const STATUSES: MessageStatus[] = ['processed', 'removing', 'pending', 'rejected', 'forgotten', 'removed'];
const LONG = 'x'.repeat(300);

let database: LedgerDatabase;
let lists: Lists;
let rows: MessageRows;

beforeAll(() => {
  database = openDatabase(':memory:');
  lists = openLists(database);
  rows = new MessageRows(database);
});

afterAll(() => {
  database.close();
});

const few = (...values: string[]) => fc.constantFrom(...values);

const contentOf = fc.record(
  {
    address: fc.constantFrom(...ADDRESSES),
    ref: few('r1', 'r2', LONG),
    type: few('amend', 'note', '\0', LONG),
    key: few('k1', 'k2'),
    item_hash: fc.nat({ max: 3 }).map(hashOf),
    payment: fc.record({ type: few('hold', 'credit') }),
    content: fc.oneof(
      fc.record({ tags: fc.array(few('t1', 't2', 't3', LONG), { maxLength: 3 }) }),
      fc.constant('text'),
    ),
  },
  { requiredKeys: ['address'] },
);

const madeMessage = fc.record({
  hash: fc.nat({ max: 100_000 }).map(hashOf),
  status: fc.oneof({ weight: 5, arbitrary: fc.constant('processed' as const) }, fc.constantFrom(...STATUSES)),
  type: few('POST', 'STORE', 'PROGRAM'),
  chain: few('ETH', 'SOL'),
  sender: fc.constantFrom(...ADDRESSES),
  channel: fc.option(few('one', 'two')),
  // Few values, so that there are ties.
  time: fc.oneof(fc.nat({ max: 4 }), fc.double({ min: 0, max: 9, noNaN: true })),
  content: contentOf,
});
const messageSet = fc.uniqueArray(madeMessage, { selector: ({ hash }) => hash, maxLength: 60 });

const VALUES: Record<Exclude<FacetKind, 'status'>, string[]> = {
  type: ['POST', 'STORE', 'PROGRAM'],
  sender: ADDRESSES,
  owner: ADDRESSES,
  channel: ['one', 'two', 'three'],
  chain: ['ETH', 'SOL'],
  ref: ['r1', 'r2', LONG],
  tag: ['t1', 't2', 't3', LONG],
  contentType: ['amend', 'note', '\0', LONG],
  contentKey: ['k1', 'k2'],
  contentHash: [0, 1, 2, 3].map(hashOf),
  paymentType: ['hold', 'credit', 'superfluid'],
};

const condition = fc
  .constantFrom(...(Object.keys(VALUES) as (keyof typeof VALUES)[]))
  .chain((kind) => fc.record({ kind: fc.constant(kind), values: fc.subarray(VALUES[kind], { minLength: 1 }) }));

const selectionOf = fc.record(
  {
    statuses: fc.oneof(
      fc.constant<MessageStatus[]>(['processed', 'removing']),
      fc.subarray(STATUSES, { minLength: 1 }),
    ),
    anyOf: fc.array(condition, { maxLength: 3 }),
    start: fc.oneof(fc.nat({ max: 4 }), fc.double({ min: 0, max: 9, noNaN: true })),
    end: fc.oneof(fc.nat({ max: 4 }), fc.double({ min: 0, max: 9, noNaN: true })),
    isReversed: fc.boolean(),
  },
  { requiredKeys: ['statuses'] },
);

/** What a message has of a kind, written without the index. */
function valuesOf({ type, sender, chain, channel, content }: MadeMessage, kind: FacetKind): unknown[] {
  const { address, ref, key, item_hash, payment, content: inner } = content as Record<string, Record<string, unknown>>;
  const tags = (inner as { tags?: string[] } | undefined)?.tags ?? [];
  const values: Record<FacetKind, unknown[]> = {
    status: [],
    type: [type],
    sender: [sender],
    owner: [address],
    channel: [channel],
    chain: [chain],
    ref: [ref],
    tag: tags,
    contentType: [content.type],
    contentKey: [key],
    contentHash: [item_hash],
    paymentType: [payment?.type],
  };
  return values[kind];
}

const same = (a: unknown, b: string) =>
  a === b || (typeof a === 'string' && /^0x/.test(a) && /^0x/.test(b) && a.toLowerCase() === b.toLowerCase());

function naive(all: readonly MadeMessage[], selection: Selection): string[] {
  const { statuses, anyOf = [], hashes, start, end, isReversed } = selection;
  const found = all.filter(
    (message) =>
      statuses.includes(message.status) &&
      anyOf.every(({ kind, values }) =>
        valuesOf(message, kind).some((have) => values.some((one) => same(have, one))),
      ) &&
      (hashes === undefined || hashes.includes(message.hash)) &&
      (start === undefined || message.time >= start) &&
      (end === undefined || message.time < end),
  );
  found.sort((a, b) => b.time - a.time || (a.hash < b.hash ? -1 : 1));
  if (isReversed) found.reverse();
  return found.map(({ hash }) => hash);
}

function walked(selection: Selection, { limit }: { limit: number }): string[] {
  const hashes: string[] = [];
  let key: ListKey | undefined;
  do {
    const stretch = lists.messages.after(selection, { key, limit });
    for (const { itemHash } of stretch.rows) hashes.push(itemHash);
    key = stretch.next;
  } while (key !== undefined);
  return hashes;
}

/** Runs with these messages in the database, and none after. */
function withMessages(all: readonly MadeMessage[], check: () => void): void {
  database.exec('BEGIN');
  try {
    for (const message of all) rows.insert(message);
    check();
  } finally {
    database.exec('ROLLBACK');
  }
}

const numRuns = process.env.VMLET_TEST_ALL ? 20_000 : 200;

test('lists: the answer to any filter is what a look at every message finds, page by page and by cursor', () => {
  const cases = fc.tuple(messageSet, selectionOf, fc.integer({ min: 1, max: 7 }), fc.nat({ max: 5 }), fc.boolean());
  fc.assert(
    fc.property(cases, ([all, plain, limit, page, byHash]) => {
      withMessages(all, () => {
        const hashes = byHash ? all.slice(0, 5).map(({ hash }) => hash) : undefined;
        const selection = { ...plain, hashes };
        const expected = naive(all, selection);
        expect(walked(selection, { limit })).toEqual(expected);
        const { rows: found, total } = lists.messages.page(selection, { offset: page * limit, limit });
        expect([...found].map(({ itemHash }) => itemHash)).toEqual(expected.slice(page * limit, (page + 1) * limit));
        expect(total).toBe(expected.length);
      });
    }),
    { numRuns },
  );
});

test('lists: follow messages that change, go and come, over several blocks', () => {
  const all = new Map<string, MadeMessage>();
  const make = (number: number): MadeMessage => ({
    hash: hashOf(number),
    status: 'processed',
    type: number % 3 === 0 ? 'POST' : 'STORE',
    chain: 'ETH',
    sender: ADDRESSES[number % 4] ?? '',
    channel: number % 2 === 0 ? 'one' : null,
    // Mostly later than all before, often in between, sometimes tied, never twice the same way.
    time: number % 5 === 0 ? (number * 7919) % 2600 : number,
    content: { address: ADDRESSES[0], content: { tags: [`t${number % 4}`] } },
  });
  const selections: Selection[] = [
    { statuses: ['processed', 'removing'] },
    { statuses: ['removing'] },
    { statuses: ['processed'], anyOf: [{ kind: 'type', values: ['POST'] }], isReversed: true },
    {
      statuses: ['processed', 'removing'],
      anyOf: [
        { kind: 'sender', values: [ADDRESSES[0] ?? '', ADDRESSES[3] ?? ''] },
        { kind: 'tag', values: ['t1', 't2'] },
      ],
      start: 100,
      end: 2100,
    },
    { statuses: ['processed', 'forgotten'] },
  ];
  const check = () => {
    for (const selection of selections) {
      const expected = naive([...all.values()], selection);
      expect(walked(selection, { limit: 700 })).toEqual(expected);
      const { rows: found, total } = lists.messages.page(selection, { offset: 1100, limit: 40 });
      expect([[...found].map(({ itemHash }) => itemHash), total]).toEqual([
        expected.slice(1100, 1140),
        expected.length,
      ]);
    }
  };
  const change = (number: number, changes: Partial<MadeMessage>) => {
    const before = all.get(hashOf(number));
    if (before !== undefined) all.set(before.hash, { ...before, ...changes });
  };
  database.exec('BEGIN');
  for (let number = 0; number < 2600; number++) {
    const message = make(number);
    all.set(message.hash, message);
    rows.insert(message);
    if (number % 1300 === 1299) check();
  }
  for (let number = 0; number < 2600; number += 3) {
    const status = STATUSES[number % STATUSES.length] ?? 'processed';
    rows.setStatus(hashOf(number), status);
    change(number, { status });
  }
  check();
  for (let number = 0; number < 2600; number += 2) {
    rows.setTime(hashOf(number), 3000 - number);
    change(number, { time: 3000 - number });
  }
  check();
  for (let number = 0; number < 2500; number++) {
    rows.delete(hashOf(number));
    all.delete(hashOf(number));
  }
  check();
  const left = database.prepare('SELECT count(*) FROM list_blocks').pluck().get();
  expect(left).toBeLessThan(20);
  database.exec('ROLLBACK');
});

test('lists: a walk by cursor gives what was there once and in order, while others arrive', () => {
  const arriving = fc.array(madeMessage, { maxLength: 30 });
  fc.assert(
    fc.property(messageSet, arriving, fc.integer({ min: 1, max: 5 }), fc.boolean(), (all, more, limit, isReversed) => {
      withMessages(all, () => {
        const selection: Selection = { statuses: ['processed', 'removing'], isReversed };
        const known = new Set(all.map(({ hash }) => hash));
        const arrivals = more.filter(({ hash }) => !known.has(hash) && known.add(hash));
        const found: string[] = [];
        let key: ListKey | undefined;
        do {
          const stretch = lists.messages.after(selection, { key, limit });
          for (const { itemHash } of stretch.rows) found.push(itemHash);
          key = stretch.next;
          const next = arrivals.pop();
          if (next !== undefined) rows.insert(next);
        } while (key !== undefined);
        expect(new Set(found).size).toBe(found.length);
        const original = new Set(all.map(({ hash }) => hash));
        expect(found.filter((hash) => original.has(hash))).toEqual(naive(all, selection));
      });
    }),
    { numRuns },
  );
});

test('lists: no counter, bit or entry is left of messages that went away', () => {
  fc.assert(
    fc.property(messageSet, (all) => {
      withMessages(all, () => {
        lists.messages.page({ statuses: ['processed'] }, { offset: 0, limit: 1 });
        for (const { hash } of all) rows.delete(hash);
        lists.messages.page({ statuses: ['processed'] }, { offset: 0, limit: 1 });
        for (const table of ['list_entries', 'list_facets', 'list_bits', 'list_queue']) {
          expect([table, database.prepare(`SELECT count(*) FROM ${table}`).pluck().get()]).toEqual([table, 0]);
        }
      });
    }),
    { numRuns: 50 },
  );
});
