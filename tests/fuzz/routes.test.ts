import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ApiFixture, startApi } from '../../packages/node/src/api/testing.ts';
import { bytesOf } from '../../packages/node/src/ledger/testing.ts';
import { inputs } from '../framework/variants.ts';
import { type Json, ODD_VALUES } from './json-mutations.ts';

/** Every route that the API serves, by its own document, asked with values that no client should send. */
interface Operation {
  method: string;
  path: string;
  places: string[];
  parameters: string[];
  hasBody: boolean;
}

let fixture: ApiFixture;
let operations: Operation[] = [];
/** Names of things that are there: so that some questions have an answer. */
const known: string[] = [];

beforeAll(async () => {
  fixture = await startApi({ allow: 'any' });
  const { operator, ledger, content } = fixture;
  const { fileHash } = await content.put(bytesOf('a file'), { maxBytes: 100 });
  const store = await operator.store(fileHash);
  const post = await operator.post({ body: 'x', tags: ['a', 'b'] });
  const program = await operator.program({ code: store.item_hash, runtime: store.item_hash });
  const aggregate = await operator.sign('AGGREGATE', { key: 'profile', content: { name: 'x' } });
  const amend = await operator.sign('POST', { type: 'amend', ref: post.item_hash, content: { body: 'y' } });
  for (const message of [store, post, program, aggregate, amend]) {
    expect((await ledger.accept(message)).status).toBe('processed');
    known.push(message.item_hash);
  }
  known.push(fileHash, operator.signer.address, 'profile', 'test', 'POST', 'ETH', 'processed', '-1', '1', '0', 'true');
  const { json } = await fixture.call('GET', '/api/openapi.json');
  operations = operationsIn(json as Document);
});
afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
});

interface Document {
  paths: Record<string, Record<string, { parameters?: { name: string; in: string }[]; requestBody?: unknown }>>;
}

function operationsIn({ paths }: Document): Operation[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters = [], requestBody }]) => ({
      method: method.toUpperCase(),
      path,
      places: parameters.filter((one) => one.in === 'path').map(({ name }) => name),
      parameters: parameters.filter((one) => one.in === 'query').map(({ name }) => name),
      hasBody: requestBody !== undefined,
    })),
  );
}

const odd = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      ...ODD_VALUES.map((value) => (typeof value === 'string' ? value : JSON.stringify(value))),
    ),
  },
  { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }) },
  { weight: 2, arbitrary: fc.integer().map(String) },
  { weight: 1, arbitrary: fc.double().map(String) },
  { weight: 3, arbitrary: fc.nat().map((index) => known[index % known.length] ?? '') },
);
/** Long ones are refused by the head of the request alone, which is not what this is about. */
const value = odd.map((text) => text.slice(0, 2000).toWellFormed());

/** A question for one operation: each place filled, and some parameters, once, twice, or as a list. */
function questionOf({ method, path, places, parameters, hasBody }: Operation) {
  const names = fc.constantFrom(...parameters, ...parameters.map((name) => `${name}[]`), 'unknown', '__proto__');
  return fc
    .record({
      filled: fc.array(value, { minLength: places.length, maxLength: places.length }),
      query: fc.array(
        fc.tuple(
          names,
          fc.oneof(
            value,
            fc.array(value, { maxLength: 3 }).map((all) => all.join(',')),
          ),
        ),
        {
          maxLength: 5,
        },
      ),
      body: fc.jsonValue() as fc.Arbitrary<Json>,
    })
    .map(({ filled, query, body }) => {
      const at = (name: string) => encodeURIComponent(filled[places.indexOf(name)] ?? '');
      const target = path.replace(/\{(\w+)\}/g, (_all, name: string) => at(name));
      const search = query.map(([name, text]) => `${name}=${encodeURIComponent(text)}`).join('&');
      return { method, url: `${target}?${search}`, body: hasBody ? JSON.stringify(body) : undefined };
    });
}

const AT_ONCE = 20;

test('routes: answer every question, or say which parameter is wrong, and never with 500', async () => {
  expect(operations.length).toBeGreaterThan(40);
  const question = fc.nat().chain((index) => {
    const operation = operations[index % operations.length];
    if (operation === undefined) throw new RangeError('Cannot choose a route: there is none');
    return questionOf(operation);
  });
  await fc.assert(
    fc.asyncProperty(fc.array(question, { minLength: AT_ONCE, maxLength: AT_ONCE }), async (questions) => {
      await Promise.all(questions.map(ask));
      expect(fixture.failures).toEqual([]);
    }),
    { numRuns: inputs({ usual: 200, all: 5000 }) },
  );
}, 1_800_000);

test('routes: refuse each odd value of each parameter by its name, or take it', async () => {
  for (const { method, path, places, parameters } of operations.filter((one) => one.method === 'GET')) {
    const target = path.replace(/\{(\w+)\}/g, (_all, name: string) =>
      /addr/.test(name) ? (known.at(6) ?? '') : (known[0] ?? ''),
    );
    for (const name of parameters) {
      const odd = ['x', '-1', '1e400', '\u0000', '9'.repeat(30), 'a,b', '[]', 'NaN'];
      const answers = await Promise.all(
        odd.map((text) => ask({ method, url: `${target}?${name}=${encodeURIComponent(text)}` })),
      );
      for (const { status, json } of answers) {
        // Of the path itself, a fixed one stands there: what is refused is the parameter.
        if (status === 422 && places.length === 0) expect((json as { cause: string }).cause, target).toContain(name);
      }
    }
  }
  expect(fixture.failures).toEqual([]);
});

async function ask({ method, url, body }: { method: string; url: string; body?: string | undefined }) {
  const call = body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body };
  const answer = await fixture.call(method, url, call);
  const { status, json } = answer;
  expect(status, `${method} ${url} ${body?.slice(0, 300) ?? ''}: ${JSON.stringify(json)}`).toBeLessThan(500);
  // Refusals are problems in words; a message that is rejected is an answer.
  if (status >= 400 && method !== 'HEAD' && !isMessageAnswer(json)) {
    expect(json, url).toMatchObject({
      status,
      code: expect.any(String),
      cause: expect.stringMatching(/^Cannot .+ expected /s),
    });
  }
  return answer;
}

function isMessageAnswer(json: unknown): boolean {
  return typeof json === 'object' && json !== null && ('message_status' in json || 'publication_status' in json);
}

test.each(['%zz', '%ff', 'a'.repeat(600)])(
  'routes: refuse %s as a place of a path in words, for any origin',
  async (place) => {
    const { status, headers, json } = await fixture.call('GET', `/api/v0/messages/${place}`);
    expect([status, json]).toEqual([400, expect.objectContaining({ code: 'API_PATH_UNREADABLE' })]);
    expect(headers).toMatchObject({ 'access-control-allow-origin': '*', 'content-type': 'application/problem+json' });
  },
);
