import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ApiFixture, startApi } from '../../packages/node/src/api/testing.ts';
import { bytesOf } from '../../packages/node/src/ledger/testing.ts';
import { inputs } from '../framework/variants.ts';

interface Route {
  method: string;
  path: string;
  parameters: { name: string; in: string }[];
}

let fixture: ApiFixture;
let routes: Route[];
/** What the ledger knows, so that more than 404 is reached. */
let known: string[];

beforeAll(async () => {
  fixture = await startApi({ allow: 'any' });
  const { operator, ledger, content, call } = fixture;
  const { fileHash } = await content.put(bytesOf('file'), { maxBytes: 9 });
  const store = await operator.store(fileHash);
  const refs = { code: store.item_hash, runtime: store.item_hash };
  const post = await operator.sign('POST', { type: 'aleph-network-metrics', content: { tags: ['t'] } });
  const { address } = operator.signer;
  const authorizations = [{ address, types: ['POST'] }];
  for (const message of [
    store,
    post,
    await operator.program(refs, { on: { http: true, message: [{}] } }),
    await operator.sign('AGGREGATE', { key: 'security', content: { authorizations } }),
    await operator.store('a'.repeat(64)),
  ]) {
    await ledger.accept(message);
  }
  known = [store.item_hash, post.item_hash, fileHash, address, 't', 'security', 'n', '1', '-1', '0', 'true', '200'];
  const document = (await call('GET', '/api/openapi.json')).json as { paths: Record<string, Record<string, Route>> };
  routes = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters }]) => ({ method: method.toUpperCase(), path, parameters })),
  );
});
afterAll(async () => {
  await fixture[Symbol.asyncDispose]();
});

const ODD = [
  '',
  '%',
  '%00',
  '..',
  '../../node.db',
  'null',
  'undefined',
  '__proto__',
  'constructor',
  'NaN',
  'Infinity',
  '1e999',
  '-0',
  '9'.repeat(20),
  '0x10',
  ','.repeat(50),
  '\u0000',
  "' OR 1=1 --",
  '{"$gt":0}',
  '\ud800',
  'é'.repeat(200),
  'f'.repeat(64),
  'eyJoIjoiIiwidCI6IiJ9',
];

/** A value for a parameter: known, odd, or any text. */
const value = () =>
  fc.oneof(fc.constantFrom(...known), fc.constantFrom(...ODD), fc.string({ unit: 'binary', maxLength: 40 }));

/** As a client writes it, or as one that writes what it likes. */
function encoded(text: string, isRaw: boolean): string {
  if (isRaw) return text.replaceAll(/[^!-~]|[?#&/]/g, '');
  return encodeURIComponent(text.toWellFormed());
}

const name = ({ parameters }: Route) => {
  const own = parameters.filter((one) => one.in === 'query').map((one) => one.name);
  return fc.oneof(fc.constantFrom(...(own.length > 0 ? own : ['find'])), fc.constantFrom('__proto__', 'a[b]', ''));
};

const request = () =>
  fc.constantFrom(...routes).chain((route) =>
    fc
      .record({
        places: fc.array(value(), { minLength: 3, maxLength: 3 }),
        query: fc.array(fc.tuple(name(route), fc.constantFrom('', '[]', '[0]', '[x]'), value()), { maxLength: 4 }),
        isRaw: fc.boolean(),
        body: fc.oneof(fc.json({ maxDepth: 4 }), fc.string({ unit: 'binary' }), fc.constant(undefined)),
        type: fc.constantFrom('application/json', 'text/plain', 'multipart/form-data; boundary=x', 'odd'),
      })
      .map(({ places, query, isRaw, body, type }) => {
        let index = 0;
        const path = route.path.replaceAll(/\{\w+\}/g, () => encoded(places[index++] ?? '', isRaw));
        const pairs = query.map(([key, form, text]) => `${encodeURIComponent(key)}${form}=${encoded(text, isRaw)}`);
        const url = pairs.length > 0 ? `${path}?${pairs.join('&')}` : path;
        return { method: route.method, url, body: route.method === 'POST' ? body : undefined, type };
      }),
  );

test('routes: answer every request with what they promise or with a problem that says which part is wrong', async () => {
  const ask = async ({
    method,
    url,
    body,
    type,
  }: {
    method: string;
    url: string;
    body?: string | undefined;
    type: string;
  }) => {
    const call = body === undefined ? {} : { headers: { 'content-type': type }, body };
    const { status, headers, json, body: bytes } = await fixture.call(method, url, call);
    const told = `${method} ${url} ${body} is answered ${status} ${bytes.subarray(0, 500)}`;
    expect(status < 500 || status === 507, told).toBe(true);
    expect(headers['access-control-allow-origin'], told).toBe('*');
    if (status < 400 || method === 'HEAD') return;
    // What became of a message is told in a form of its own.
    if (json !== undefined && 'message_status' in (json as object)) return;
    expect(json, told).toMatchObject({
      status,
      code: expect.any(String),
      cause: expect.stringMatching(/^Cannot .+ expected /s),
    });
  };
  await fc.assert(
    fc.asyncProperty(fc.array(request(), { minLength: 20, maxLength: 20 }), async (all) => {
      await Promise.all(all.map(ask));
    }),
    { numRuns: inputs({ usual: 150, all: 5000 }) },
  );
  expect(fixture.failures).toEqual([]);
}, 1_200_000);
