import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { itemHashOf } from '@vmlet/messages';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { openFileStore } from '../../content/index.ts';
import { openDatabase } from '../../store/index.ts';
import { bytesOf, fileHashOf } from '../testing.ts';
import { openLedger } from './ledger.ts';

const TOTAL = process.env.VMLET_TEST_ALL ? 100_000 : 3000;
const BATCH = 100;
const ADDRESSES = ['0x', '1x', 'So1'].map((start) => start.padEnd(42, 'a'));
const KEYS = ['key', 'security', '', '__proto__', 'a/b'];
const FILES = ['one', 'two'];

/** Contents that are nearly right and refer to one another, and some that are not right at all. */
function contents(known: string[]) {
  const ref = fc.oneof(
    fc.constantFrom(...known, ...FILES.map(fileHashOf)),
    fc.constantFrom('name', '', 'f'.repeat(64)),
  );
  const address = fc.constantFrom(...ADDRESSES);
  const time = fc.oneof(fc.integer({ min: 0, max: 50 }), fc.double({ min: 0, max: 9e9, noNaN: true }));
  const value = fc.jsonValue({ maxDepth: 3 });
  const authorization = fc.record({ address, types: value, channels: value, post_types: value }, { requiredKeys: [] });
  const base = { address, time };
  const machine = {
    ...base,
    allow_amend: fc.boolean(),
    environment: fc.constant({}),
    resources: fc.constant({}),
    replaces: fc.option(ref, { nil: undefined }),
    volumes: fc.array(fc.record({ ref, use_latest: fc.boolean(), mount: fc.constant('/v') }), { maxLength: 2 }),
  };
  return {
    POST: fc.record({ ...base, type: fc.constantFrom('note', 'amend'), content: value, ref: fc.option(ref) }),
    AGGREGATE: fc.record({
      ...base,
      key: fc.constantFrom(...KEYS),
      content: fc.oneof(fc.dictionary(fc.string(), value), fc.record({ authorizations: fc.array(authorization) })),
    }),
    STORE: fc.record({
      ...base,
      item_type: fc.constant('storage'),
      item_hash: fc.constantFrom(...FILES, 'never').map(fileHashOf),
      ref: fc.option(ref),
    }),
    PROGRAM: fc.record({
      ...machine,
      type: fc.constant('vm-function'),
      on: fc.constant({ http: true }),
      runtime: fc.record({ ref, use_latest: fc.boolean(), comment: fc.string() }),
      code: fc.record({ ref, encoding: fc.constant('zip'), entrypoint: fc.constant('x') }),
    }),
    INSTANCE: fc.record({
      ...machine,
      rootfs: fc.record({
        parent: fc.record({ ref }),
        persistence: fc.constant('host'),
        size_mib: fc.integer({ min: -1, max: 2 }),
      }),
    }),
    FORGET: fc.record({
      ...base,
      hashes: fc.array(ref, { maxLength: 4 }),
      aggregates: fc.array(fc.constantFrom(...KEYS), { maxLength: 2 }),
    }),
  };
}

function messages(known: string[]) {
  const of = Object.entries(contents(known)).map(([type, content]) => fc.record({ type: fc.constant(type), content }));
  const unsigned = fc.record({
    sender: fc.constantFrom(...ADDRESSES),
    time: fc.integer({ min: 0, max: 60 }),
    channel: fc.constantFrom('A', 'B', undefined),
    item_type: fc.constantFrom('inline', 'inline', 'inline', 'storage'),
  });
  return fc.tuple(fc.oneof(...of), unsigned).map(([{ type, content }, rest]) => {
    const text = JSON.stringify(content);
    const inline = rest.item_type === 'inline' ? { item_content: text } : {};
    return { ...rest, ...inline, type, chain: 'ETH', item_hash: itemHashOf(text), signature: '0x1' };
  });
}

test(
  'bulk: keeps log and index whole and one with another, whatever messages come',
  async () => {
    await using stack = new AsyncDisposableStack();
    const dir = stack.adopt(await mkdtempDisposable(join(tmpdir(), 'vmlet-test-')), (one) => one.remove());
    const content = await openFileStore(join(dir.path, 'content'));
    for (const text of FILES) await content.put(bytesOf(text), { maxBytes: 9 });
    const database = stack.adopt(openDatabase(join(dir.path, 'node.db')), (one) => void one.close());
    const errors: unknown[] = [];
    const components = {
      database,
      content,
      onListenerError: (error: unknown) => errors.push(error),
      delayMs: () => 1e9,
    };
    let ledger = await openLedger(components);
    const known = ['f'.repeat(64)];
    const counts: Record<string, number> = {};
    for (let done = 0; done < TOTAL; done += BATCH) {
      const batch = fc.sample(messages(known), { numRuns: BATCH, seed: done });
      known.push(...batch.map(({ item_hash }) => item_hash));
      known.splice(1, Math.max(known.length - 300, 0));
      for (const { status } of await results(ledger, batch)) counts[status] = (counts[status] ?? 0) + 1;
    }
    // Each state was met, and no message met a defect.
    expect(Object.keys(counts).toSorted()).toEqual(['forgotten', 'pending', 'processed', 'rejected']);
    const count = (sql: string) => database.prepare<[], number>(sql).pluck().get();
    expect(count('SELECT count(*) FROM messages WHERE error_code = -1')).toBe(0);
    expect(errors).toEqual([]);
    expect(database.pragma('foreign_key_check')).toEqual([]);
    expect(database.pragma('integrity_check', { simple: true })).toBe('ok');
    const tables = ['posts', 'aggregate_elements', 'stores', 'programs', 'instances'];
    const indexed = tables.map((table) => `(SELECT count(*) FROM ${table})`).join(' + ');
    expect(count(`SELECT ${indexed}`)).toBe(
      count("SELECT count(*) FROM messages WHERE status = 'processed' AND type <> 'FORGET'"),
    );
    // Aggregates that were merged one by one are what all their elements come to.
    const before = ADDRESSES.map((address) => ledger.aggregate(address));
    ledger[Symbol.dispose]();
    ledger = stack.use(await openLedger(components));
    expect(ADDRESSES.map((address) => ledger.aggregate(address))).toEqual(before);
    for (const { address, key, content: merged } of before.flat()) {
      const elements = database
        .prepare<[string, string], string>(
          'SELECT content FROM aggregate_elements WHERE address = ? AND key = ? ORDER BY time, item_hash',
        )
        .pluck()
        .all(address.startsWith('0x') ? address.toLowerCase() : address, key);
      const expected = new Map(elements.flatMap((text) => Object.entries(JSON.parse(text))));
      expect(new Map(Object.entries(merged))).toEqual(expected);
    }
  },
  process.env.VMLET_TEST_ALL ? 1_200_000 : 60_000,
);

async function results(ledger: Awaited<ReturnType<typeof openLedger>>, batch: readonly { item_hash: string }[]) {
  await ledger.bulk(batch, { verified: true });
  return batch.flatMap(({ item_hash }) => ledger.get(item_hash) ?? []);
}
