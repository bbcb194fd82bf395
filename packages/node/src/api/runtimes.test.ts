import { describe, expect, test } from 'vitest';
import { type Author, bytesOf, fileHashOf, makeAuthor } from '../ledger/testing.ts';
import { type ApiFixture, startApi } from './testing.ts';

/** What a runtime's STORE says of it. */
const manifestOf = (text: string, changes: object = {}) => ({
  ...{ format: 1, kind: 'vmlet/runtime', name: 'mine', version: '1', description: '', os: 'Debian', interpreters: {} },
  ...{ filesystem: 'erofs', init: 'kit', sizeBytes: text.length, fileHash: fileHashOf(text), ...changes },
});

/** Publishes a file as a runtime, or as whatever its metadata says. */
async function publish(
  api: ApiFixture,
  text: string,
  { by, metadata, ...changes }: { by: Author; metadata?: object; ref?: string },
): Promise<string> {
  await api.content.put(bytesOf(text), { maxBytes: 1000 });
  const store = await by.store(fileHashOf(text), { metadata: metadata ?? manifestOf(text), ...changes });
  expect((await api.ledger.accept(store)).status).toBe('processed');
  return store.item_hash;
}

/** Names runtimes in their publisher's AGGREGATE. */
async function name(api: ApiFixture, by: Author, content: Record<string, unknown>, key = 'runtimes'): Promise<void> {
  const message = await by.sign('AGGREGATE', { key, content });
  expect((await api.ledger.accept(message)).status).toBe('processed');
}

const WELL_KNOWN = '63f07193e6ee9d207b7d1fcf8286f9aee34e6f12f101d2ec77c1229f92964696';

describe('runtimes', () => {
  test('runtimes: are listed the newest first, by publisher and by name, and nothing else is', async () => {
    await using api = await startApi();
    const [one, other] = [makeAuthor(), makeAuthor()];
    await publish(api, 'half', { by: one, metadata: { kind: 'vmlet/runtime', name: 'mine' } });
    const first = await publish(api, 'first', { by: one });
    const second = await publish(api, 'second', { by: other, metadata: manifestOf('second', { name: 'theirs' }) });
    await publish(api, 'a file', { by: one, metadata: { kind: 'something' } });
    const list = async (query = '') => {
      const { status, json } = await api.call('GET', `/api/v0/runtimes.json${query}`);
      expect(status).toBe(200);
      return json as { runtimes: { item_hash: string }[]; pagination_total: number };
    };
    const hashes = async (query?: string) => (await list(query)).runtimes.map((runtime) => runtime.item_hash);
    expect(await list()).toMatchObject({
      operator: api.operator.signer.address,
      pagination_item: 'runtimes',
      aliases: [],
      runtimes: [
        { item_hash: second, address: other.signer.address, metadata: { name: 'theirs' }, size: 6, names: [] },
        { item_hash: first, file_hash: fileHashOf('first'), ref: null },
      ],
    });
    expect(await hashes(`?addresses=${one.signer.address.toUpperCase().replace('0X', '0x')}`)).toEqual([first]);
    expect(await hashes('?names[]=theirs&names[]=none')).toEqual([second]);
    expect(await hashes('?pagination=1')).toEqual([second]);
    const refused = await api.call('GET', '/api/v0/runtimes.json?pagination=0');
    expect(refused).toMatchObject({ status: 422, json: { cause: expect.stringContaining('pagination') } });
    await api.ledger.accept(await other.forget(second));
    expect(await hashes()).toEqual([first]);
  });

  test('runtimes: what is published beside one is told with where it is, and what is not here is not', async () => {
    await using api = await startApi();
    const one = makeAuthor();
    const sbom = await publish(api, '{"spdxVersion":"SPDX-2.3"}', { by: one, metadata: {} });
    const metadata = manifestOf('first', { sbom, lock: '0'.repeat(64), packages: { manager: 'dpkg', count: 7 } });
    const first = await publish(api, 'first', { by: one, metadata });
    const fileHash = fileHashOf('{"spdxVersion":"SPDX-2.3"}');
    const url = `/api/v0/storage/raw/${fileHash}`;
    expect((await api.call('GET', `/api/v0/runtimes/${first}`)).json).toMatchObject({
      metadata: { packages: { count: 7 } },
      beside: { recipe: null, lock: null, sbom: { item_hash: sbom, file_hash: fileHash, size: 26, url } },
    });
    expect(await api.call('GET', url)).toMatchObject({ status: 200 });
  });

  test('runtimes: a name leads to what its publisher signed, each version to its own, and to nothing of others', async () => {
    await using api = await startApi();
    const [one, thief] = [makeAuthor(), makeAuthor()];
    const first = await publish(api, 'first', { by: one });
    const metadata = manifestOf('second', { version: '2' });
    const second = await publish(api, 'second', { by: one, metadata, ref: first });
    await name(api, one, {
      mine: { item_hash: second, version: '2' },
      'mine@1': { item_hash: first, version: '1' },
      'mine@2': { item_hash: second, version: '2' },
      odd: 'no object',
    });
    await name(api, thief, { stolen: { item_hash: first, version: '1' } });
    const get = (path: string) => api.call('GET', `/api/v0/runtimes/${path}`);
    const { address } = one.signer;
    expect((await get(`${address}/mine`)).json).toMatchObject({
      ...{ item_hash: second, address, ref: first, names: ['mine', 'mine@2'], alias: null, stands_in_for: [] },
      versions: [
        { item_hash: second, version: '2' },
        { item_hash: first, version: '1' },
      ],
      used_by: { count: 0, programs: [] },
    });
    expect((await get(`${address}/mine@1`)).json).toMatchObject({ item_hash: first });
    expect((await get(first)).json).toMatchObject({ item_hash: first, names: ['mine@1'] });
    for (const path of [`${thief.signer.address}/stolen`, `${address}/odd`, 'mine', '0'.repeat(64)]) {
      expect(await get(path), path).toMatchObject({ status: 404, json: { code: 'RUNTIME_UNKNOWN' } });
    }
    const code = await publish(api, 'code', { by: one, metadata: {} });
    const program = await one.program({ code, runtime: second });
    await api.ledger.accept(program);
    const usedBy = { count: 1, programs: [{ item_hash: program.item_hash, address }] };
    expect((await get(second)).json).toMatchObject({ used_by: usedBy });
  });

  test('runtimes: what the operator signed stands in for what is not here, from then on, and nobody else can', async () => {
    await using api = await startApi();
    const { operator } = api;
    const [stranger, author] = [makeAuthor(), makeAuthor()];
    const target = await publish(api, 'equivalent', { by: operator });
    const code = await publish(api, 'code', { by: author, metadata: {} });
    const program = await author.program({ code, runtime: WELL_KNOWN });
    const state = () => api.ledger.get(program.item_hash)?.status;
    expect((await api.ledger.accept(program)).status).toBe('pending');
    const show = () => api.call('GET', `/api/v0/runtimes/${WELL_KNOWN}`);

    await name(api, stranger, { [WELL_KNOWN]: target }, 'runtime-aliases');
    expect(await show()).toMatchObject({ status: 404 });
    expect(state()).toBe('pending');

    const settled = Promise.withResolvers<void>();
    api.ledger.subscribe(({ type, itemHash }) => {
      if (type === 'processed' && itemHash === program.item_hash) settled.resolve();
    });
    await name(api, operator, { [WELL_KNOWN]: target, odd: target, [target]: target }, 'runtime-aliases');
    await settled.promise;
    expect(state()).toBe('processed');
    const alias = { hash: WELL_KNOWN, target, active: true };
    expect((await show()).json).toMatchObject({ item_hash: target, alias, used_by: { count: 1 } });
    expect((await api.call('GET', '/api/v0/runtimes.json')).json).toMatchObject({ aliases: [alias] });
    expect((await api.call('GET', `/api/v0/runtimes/${target}`)).json).toMatchObject({ stands_in_for: [WELL_KNOWN] });

    await name(api, operator, { [WELL_KNOWN]: null }, 'runtime-aliases');
    expect(await show()).toMatchObject({ status: 404 });
    expect(api.failures).toEqual([]);
  });

  test('runtimes: an alias counts only while its target is here and the hash itself is not', async () => {
    await using api = await startApi();
    const { operator } = api;
    const genuine = await operator.store(fileHashOf('genuine'), { metadata: manifestOf('genuine') });
    const target = await operator.store(fileHashOf('equivalent'), { metadata: manifestOf('equivalent') });
    await name(api, operator, { [genuine.item_hash]: target.item_hash }, 'runtime-aliases');
    const show = () => api.call('GET', `/api/v0/runtimes/${genuine.item_hash}`);
    const isActive = async () => (await api.call('GET', '/api/v0/runtimes.json')).json;
    const told = (active: boolean) => ({ aliases: [{ hash: genuine.item_hash, active }] });
    expect(await isActive()).toMatchObject(told(false));
    await api.content.put(bytesOf('equivalent'), { maxBytes: 1000 });
    await api.ledger.accept(target);
    expect((await show()).json).toMatchObject({ item_hash: target.item_hash });
    await api.content.put(bytesOf('genuine'), { maxBytes: 1000 });
    await api.ledger.accept(genuine);
    expect((await show()).json).toMatchObject({ item_hash: genuine.item_hash, alias: null });
    expect(await isActive()).toMatchObject(told(false));
  });
});
