import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { startApi } from '../api/testing.ts';
import { bytesOf, fileHashOf } from '../ledger/testing.ts';
import { openDatabase } from '../store/index.ts';
import { RuntimeIndex } from './runtime-index.ts';

const RUNS = process.env.VMLET_TEST_ALL ? 100_000 : 1000;
const MESSAGES = process.env.VMLET_TEST_ALL ? 2000 : 100;

describe('runtime index', () => {
  test('runtime index: is what SQLite looks in, for each question', () => {
    const database = openDatabase(':memory:');
    const index = new RuntimeIndex(database);
    const page = { limit: 20, offset: 0 };
    const plans = {
      all: index.planOf(page),
      publisher: index.planOf({ ...page, addresses: ['0x1', '0x2'] }),
      name: index.planOf({ ...page, names: ['mine'] }),
    };
    expect(plans.all.join()).toContain('INDEX runtimes_by_position');
    expect(plans.publisher.join()).toContain('INDEX runtimes_by_owner');
    expect(plans.name.join()).toContain('INDEX runtimes_by_name');
    database.close();
  });
});

describe('runtimes, fuzzed', () => {
  test('runtimes: hostile messages and questions are answered, and none is a failure', async () => {
    await using api = await startApi();
    const { operator } = api;
    await api.content.put(bytesOf('bytes'), { maxBytes: 1000 });
    const manifest = { format: 1, kind: 'vmlet/runtime', name: 'mine', version: '1', description: '', os: '' };
    const rest = { interpreters: {}, filesystem: 'erofs', init: 'kit', sizeBytes: 5, fileHash: fileHashOf('bytes') };
    const whole: Record<string, unknown> = { ...manifest, ...rest };
    const deep = (depth: number) => JSON.parse('['.repeat(depth) + ']'.repeat(depth)) as unknown;
    const changes = fc.record({ member: fc.constantFrom(...Object.keys(whole)), value: fc.jsonValue({ maxDepth: 4 }) });
    const sent = await fc.sample(changes, MESSAGES);
    for (const { member, value } of [...sent, { member: 'name', value: deep(400) }]) {
      const store = await operator.store(fileHashOf('bytes'), { metadata: { ...whole, [member]: value } });
      const { status } = await api.ledger.accept(store);
      expect(['processed', 'rejected']).toContain(status);
      const names = await operator.sign('AGGREGATE', {
        key: 'runtimes',
        content: { mine: value, [member]: store.item_hash },
      });
      await api.ledger.accept(names);
      const aliases = { [String(value).slice(0, 100)]: store.item_hash, [store.item_hash]: value };
      await api.ledger.accept(await operator.sign('AGGREGATE', { key: 'runtime-aliases', content: aliases }));
    }
    const hash = fc.stringMatching(/^[0-9a-f]{64}$/);
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      hash,
      fc.constantFrom('mine', 'mine@1', operator.signer.address),
    );
    const query = fc.record({ addresses: text, names: text, pagination: text, page: text }, { requiredKeys: [] });
    const paths = fc.oneof(
      query.map((one) => `/api/v0/runtimes.json?${new URLSearchParams(one)}`),
      text.map((ref) => `/api/v0/runtimes/${encodeURIComponent(ref)}`),
      fc.tuple(text, text).map(([a, b]) => `/api/v0/runtimes/${encodeURIComponent(a)}/${encodeURIComponent(b)}`),
    );
    await fc.assert(
      fc.asyncProperty(paths, async (path) => {
        const { status, headers } = await api.call('GET', path);
        expect([200, 400, 404, 414, 422, 431]).toContain(status);
        const type = status === 200 ? 'application/json' : 'application/problem+json';
        expect(headers['content-type']).toContain(type);
      }),
      { numRuns: RUNS },
    );
    expect(api.failures).toEqual([]);
  });
});
