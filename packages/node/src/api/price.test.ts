import { describe, expect, test } from 'vitest';
import { bytesOf, makeAuthor } from '../ledger/testing.ts';
import { startApi } from './testing.ts';

const PRICE = '/api/v0/price';
const ESTIMATE = `${PRICE}/estimate`;
const REF = 'a'.repeat(64);

type Fixture = Awaited<ReturnType<typeof startApi>>;

/** A file with its STORE, in force. */
async function publishFile(fixture: Fixture, text: string, author = fixture.operator) {
  const { fileHash } = await fixture.content.put(bytesOf(text), { maxBytes: text.length });
  const store = await author.store(fileHash);
  expect((await fixture.ledger.accept(store)).status).toBe('processed');
  return store.item_hash;
}

async function publishProgram(fixture: Fixture, changes: object = {}, author = fixture.operator) {
  const code = await publishFile(fixture, `code ${JSON.stringify(changes)}`, author);
  const program = await author.program({ code, runtime: code }, changes);
  expect((await fixture.ledger.accept(program)).status).toBe('processed');
  return program.item_hash;
}

describe('prices', () => {
  test('price: is that of the message in force, with sizes where they are asked for', async () => {
    await using fixture = await startApi();
    const program = await publishProgram(fixture, { environment: { internet: true } });
    const bare = await fixture.call('GET', `${PRICE}/${program}`);
    expect(bare).toMatchObject({
      status: 200,
      json: {
        required_tokens: 400,
        payment_type: 'hold',
        cost: '400.000000000000000000',
        charged_address: fixture.operator.signer.address,
      },
    });
    const sizes = (answer: typeof bare) =>
      (answer.json as { detail: { size_mib: number | null }[] }).detail.map((one) => one.size_mib);
    expect(sizes(bare)).toEqual([null, null, null, null]);
    const sized = sizes(await fixture.call('GET', `${PRICE}/${program}?include_size=true`));
    expect(sized).toEqual([null, expect.any(Number), sized[1], null]);
  });

  test('price: is the operator’s own, where an aggregate says so', async () => {
    await using fixture = await startApi();
    const content = { storage: { price: { storage: { holding: '1024' } } } };
    await fixture.ledger.accept(await fixture.operator.sign('AGGREGATE', { key: 'pricing', content }));
    await fixture.ledger.accept(await makeAuthor().sign('AGGREGATE', { key: 'pricing', content: { storage: {} } }));
    const store = await publishFile(fixture, 'x'.repeat(1024));
    expect((await fixture.call('GET', `${PRICE}/${store}`)).json).toMatchObject({ cost: '1.000000000000000000' });
  });

  test('price: is none of what is unknown, waits, was rejected, is forgotten, or has no price', async () => {
    await using fixture = await startApi();
    const { operator, ledger } = fixture;
    const post = await operator.post('x');
    const pending = await operator.store(REF);
    const rejected = { ...(await operator.post('y')), signature: '0x00' };
    const store = await publishFile(fixture, 'forgotten');
    for (const message of [post, pending, rejected, await operator.forget(store)]) await ledger.accept(message);
    const answers = [
      [post.item_hash, 400, 'PRICE_NONE'],
      [pending.item_hash, 404, 'PRICE_NOT_IN_FORCE'],
      [rejected.item_hash, 404, 'PRICE_NOT_IN_FORCE'],
      [store, 410, 'PRICE_GONE'],
      ['b'.repeat(64), 404, 'MESSAGE_UNKNOWN'],
      ['x', 400, 'HASH_MALFORMED'],
    ] as const;
    for (const [hash, status, code] of answers) {
      expect(await fixture.call('GET', `${PRICE}/${hash}`)).toMatchObject({ status, json: { code } });
    }
    expect(fixture.failures).toEqual([]);
  });

  test('estimate: needs no signature, takes a content inline or kept as a file, and records nothing', async () => {
    await using fixture = await startApi();
    const content = { address: '0x1', time: 1, item_type: 'storage', item_hash: REF, estimated_size_mib: 3 };
    const item_content = JSON.stringify(content);
    const inline = { type: 'STORE', item_type: 'inline', item_hash: REF, item_content };
    const answer = await fixture.call('POST', ESTIMATE, { body: { message: inline } });
    expect(answer).toMatchObject({ status: 200, json: { cost: '0.999999999000000000', charged_address: '0x1' } });
    const { fileHash } = await fixture.content.put(bytesOf(item_content), { maxBytes: 1000 });
    const stored = { type: 'STORE', item_type: 'storage', item_hash: fileHash };
    expect((await fixture.call('POST', ESTIMATE, { body: { message: stored } })).json).toEqual(answer.json);
    expect(fixture.ledger.get(REF)).toBeUndefined();
  });

  test.each([
    [{}, 'message'],
    [{ message: { type: 'STORE' } }, 'message.item_content'],
    [{ message: { type: 'STORE', item_content: '{' } }, 'message.item_content'],
    [{ message: { type: 'STORE', item_content: '[]' } }, '$'],
    [{ message: { type: 'PROGRAM', item_content: '{"address":"x"}' } }, 'code'],
    [{ message: { type: 'INSTANCE', item_content: '{"address":"x","rootfs":{"size_mib":-1}}' } }, 'rootfs.size_mib'],
    [[], '$'],
  ])('estimate: says which member is wrong in %j', async (body, path) => {
    await using fixture = await startApi();
    const answer = await fixture.call('POST', ESTIMATE, { body });
    expect(answer).toMatchObject({ status: 422, json: { code: 'PRICE_CONTENT_MALFORMED' } });
    expect((answer.json as { cause: string }).cause).toContain(`at '${path}'`);
  });

  test('estimate of an instance: takes its content alone, without a time', async () => {
    await using fixture = await startApi();
    const body = { address: 'x', resources: { vcpus: 4, memory: 2048 }, rootfs: { size_mib: 20_480 } };
    const answer = await fixture.call('POST', `${ESTIMATE}/instance`, { body });
    expect(answer).toMatchObject({ status: 200, json: { cost: '4000.000000000000000000' } });
    const gpu = { ...body, requirements: { gpu: [{ device_id: 'none' }] } };
    const refused = await fixture.call('POST', `${ESTIMATE}/instance`, { body: gpu });
    expect(refused).toMatchObject({ status: 422, json: { cause: expect.stringContaining("found 'none'") } });
  });

  test('recalculate: is for the operator alone, and has nothing to do', async () => {
    await using fixture = await startApi();
    const program = await publishProgram(fixture);
    const headers = { 'x-auth-token': 'by the operator' };
    for (const [path, count] of [
      ['', 1],
      [`/${program}`, 1],
    ] as const) {
      const answer = await fixture.call('POST', `${PRICE}${path}/recalculate`, { headers });
      expect(answer).toMatchObject({ status: 200, json: { recalculated_count: count, errors: [] } });
      for (const wrong of [{}, { 'x-auth-token': 'by another' }]) {
        const refused = await fixture.call('POST', `${PRICE}${path}/recalculate`, { headers: wrong });
        expect(refused).toMatchObject({ status: 401, json: { code: 'AUTH_TOKEN_REFUSED' } });
      }
    }
    expect((await fixture.call('POST', `${PRICE}/${REF}/recalculate`, { headers })).status).toBe(404);
  });
});

describe('costs', () => {
  test('costs: sums what runs, or what one address has, with its files', async () => {
    await using fixture = await startApi({ allow: 'any' });
    const other = makeAuthor();
    const own = await publishProgram(fixture);
    const theirs = await publishProgram(fixture, { on: { http: true, persistent: true } }, other);
    const costs = async (query: string) => (await fixture.call('GET', `/api/v0/costs?${query}`)).json;
    expect(await costs('')).toMatchObject({
      summary: { total_cost_hold: '1400.000000000000000000', resource_count: 2, total_consumed_credits: 0 },
      filters: { address: null, item_hash: null, payment_type: null },
    });
    const address = other.signer.address.toLowerCase();
    expect(await costs(`address=${address}&include_details=2`)).toMatchObject({
      summary: { resource_count: 2 },
      resources: [{ item_hash: theirs, detail: expect.any(Array) }, { detail: [{ type: 'STORAGE' }] }],
      pagination_total: 2,
      pagination_item: 'resources',
    });
    expect(await costs(`item_hash=${own}&include_details=1`)).toMatchObject({ resources: [{ item_hash: own }] });
    expect(await costs('payment_type=credit')).toMatchObject({ summary: { resource_count: 0 } });
    expect(await costs(`item_hash=${REF}`)).toMatchObject({ summary: { resource_count: 0 } });
  });

  test.each(['include_details=2', 'include_details=3', 'item_hash=x', 'payment_type=gold', 'pagination=9', 'page=0'])(
    'costs: refuses %s, and names the parameter',
    async (query) => {
      await using fixture = await startApi();
      const answer = await fixture.call('GET', `/api/v0/costs?${query}`);
      expect(answer).toMatchObject({ status: 422, json: { code: 'API_QUERY_MALFORMED' } });
      expect((answer.json as { cause: string }).cause).toContain(`'${query.split('=')[0]}'`);
    },
  );
});

describe('balances and credits', () => {
  test('balances: are typed and empty, for nothing is charged', async () => {
    await using fixture = await startApi();
    const get = async (path: string) => (await fixture.call('GET', `/api/v0/${path}`)).json;
    const address = 'addresses/0xabc';
    const nothing = { balance: 0, details: {}, locked_amount: 0, credit_balance: 0 };
    expect(await get(`${address}/balance?chain=ETH`)).toEqual({ address: '0xabc', ...nothing });
    const detailed = await get(`${address}/balance?include_credit_details=true`);
    expect(detailed).toEqual({ address: '0xabc', ...nothing, credit_balance_details: [] });
    for (const item of ['balances', 'credit_balances']) {
      expect(await get(`${item}?page=2&pagination=50`)).toEqual({
        [item]: [],
        pagination_per_page: 50,
        pagination_page: 2,
        pagination_total: 0,
        pagination_item: item,
      });
    }
    expect(await get(`messages/${REF}/consumed_credits`)).toEqual({ item_hash: REF, consumed_credits: 0 });
    expect(await get(`${address}/credit_history/summary`)).toEqual({
      ...{ address: '0xabc', entry_count: 0, total_amount: 0 },
      ...{ total_incoming: 0, total_outgoing: 0 },
    });
    const history = await fixture.call('GET', `/api/v0/${address}/credit_history`);
    expect(history).toMatchObject({ status: 404, json: { code: 'CREDIT_HISTORY_EMPTY' } });
  });

  test.each([
    'balances?pagination=x',
    'credit_balances?page=0',
    'addresses/%0A/balance',
    'addresses/a/credit_history?page=x',
  ])('balances: refuses %s with 422', async (path) => {
    await using fixture = await startApi();
    expect((await fixture.call('GET', `/api/v0/${path}`)).status).toBe(422);
  });
});
