import type { MessageType } from '@aleph-sdk/message';
import { buildMessage } from '@vmlet/messages';
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as z from 'zod';
import { CHANNEL, type ContractNode, startContractNode } from './network.ts';

interface Operation {
  responses: Record<string, { content?: Record<string, { schema: Parameters<typeof z.fromJSONSchema>[0] }> }>;
}

let network: ContractNode;
let paths: Record<string, Record<string, Operation>>;
/** What stands for each place of a path, and the queries that are tried. */
let examples: Record<string, string[]>;

beforeAll(async () => {
  network = await startContractNode();
  const { url, client, account, node } = network;
  const channel = CHANNEL;
  const post = await client.createPost({ postType: 'blog', content: { tags: ['a'] }, channel, sync: true });
  const gone = await client.createPost({ postType: 'blog', content: 'x', channel, sync: true });
  await client.forget({ hashes: [gone.item_hash], channel, sync: true });
  await client.createAggregate({ key: 'profile', content: { a: 1 }, channel, sync: true });
  const authorizations = [{ address: account.address, types: ['POST'] }];
  await client.createAggregate({ key: 'security', content: { authorizations }, channel, sync: true });
  const store = await client.createStore({ fileObject: new Blob(['x']), channel, sync: true });
  await client.createProgram({
    channel,
    programRef: store.item_hash,
    entrypoint: 'main:app',
    runtime: node.runtime,
    subscriptions: [{ channel }],
  });
  const measured = { node_id: 'n', measured_at: Date.now() / 1000, base_latency: 1 };
  await publishAsOperator('aleph-network-metrics', { metrics: { ccn: [measured], crn: [measured] } });
  await publishAsOperator('runtimes', { 'debian-12-python': { item_hash: node.runtime, version: '1' } });
  const stored = await client.getMessage<MessageType.store>(store.item_hash);
  const fileHash = stored.content.item_hash;
  const { address } = account;
  const hashes = [post.item_hash, gone.item_hash, store.item_hash];
  examples = {
    '/api/v0/messages/{hash}': hashes,
    '/api/v0/messages/{hash}/status': hashes,
    '/api/v0/messages/{hash}/content': [post.item_hash, store.item_hash],
    '/api/v0/messages.json': [
      '',
      '?pagination=1&page=2',
      '?cursor=',
      '?msgStatuses=forgotten',
      '?contentFormat=headers',
    ],
    '/api/v0/posts.json': ['', '?types=blog', '?cursor='],
    '/api/v1/posts.json': ['', '?cursor='],
    '/api/v0/messages/hashes': ['', '?hash_only=false', '?status=processed'],
    '/api/v0/aggregates/{address}.json': [address, `${address}?with_info=true`, `${address}?keys=profile&value_only=1`],
    '/api/v0/runtimes/{address}/{name}': [`${node.signer.address}/debian-12-python`],
    '/api/v0/runtimes/{ref}': [node.runtime, 'debian-12-python'],
    '{address}': [address],
    '{node_id}': ['n'],
    '{page}': ['1'],
    '{ref}': [store.item_hash],
    '/api/v0/price/{hash}': [store.item_hash],
    '/api/v0/storage/by-message-hash/{hash}': [store.item_hash],
    '{hash}': [fileHash],
  };
  const document = (await (await fetch(`${url}/api/openapi.json`)).json()) as { paths: typeof paths };
  paths = document.paths;
});
afterAll(async () => {
  await network[Symbol.asyncDispose]();
});

/** What only the operator is asked about. */
async function publishAsOperator(...[type, content]: Parameters<typeof partOf>): Promise<void> {
  const message = await buildMessage({ ...partOf(type, content), signer: network.node.signer, now: new Date() });
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ sync: true, message });
  const answer = await fetch(`${network.url}/api/v0/messages`, { method: 'POST', headers, body });
  expect(answer.status).toBe(200);
}

const partOf = (kind: string, content: Record<string, unknown>) =>
  kind === 'aleph-network-metrics'
    ? ({ type: 'POST', content: { type: kind, content } } as const)
    : ({ type: 'AGGREGATE', content: { key: kind, content } } as const);

/** The requests that show a documented path: its own examples, or those of its places. */
function requestsOf(path: string): string[] {
  const own = examples[path];
  const [place] = /\{\w+\}/.exec(path) ?? [];
  if (own !== undefined) {
    return own.map((one) => {
      const [value = '', query] = one.split('?');
      const filled = place === undefined ? `${path}${value}` : path.replace(/\{.*\}/, value);
      return query === undefined ? filled : `${filled}?${query}`;
    });
  }
  if (place === undefined) return [path];
  return (examples[place] ?? []).flatMap((value) => requestsOf(path.replace(place, value)));
}

/** What an answer has that is not documented; empty if nothing. */
async function faultsOf(request: string, operation: Operation): Promise<string[]> {
  const answer = await fetch(`${network.url}${request}`);
  const type = answer.headers.get('content-type')?.split(';', 1)[0] ?? '';
  const body = await answer.text();
  if (answer.headers.get('access-control-allow-origin') !== '*') return [`${request}: not for any origin`];
  // An address without any has no history, which the network tells as an error.
  if (answer.status === 404 && request.includes('/credit_history')) return [];
  if (answer.status !== 200) return [`${request}: ${answer.status} ${body}`];
  const media = Object.entries(operation.responses['200']?.content ?? {});
  const [, known] = media.find(([name]) => name.split(';', 1)[0] === type) ?? [];
  if (known === undefined) return [`${request}: ${type} is not documented`];
  if (type !== 'application/json') return [];
  const read = z.fromJSONSchema(known.schema).safeParse(JSON.parse(body));
  return read.success ? [] : [`${request}: ${z.prettifyError(read.error)}`];
}

test('documented: every GET answers a node as its own schema says', async () => {
  const faults: string[] = [];
  let asked = 0;
  for (const [path, { get }] of Object.entries(paths)) {
    if (get === undefined || path.startsWith('/api/ws0/')) continue;
    const requests = requestsOf(path);
    if (requests.length === 0) faults.push(`${path}: no example`);
    for (const request of requests) faults.push(...(await faultsOf(request, get)));
    asked += requests.length;
  }
  expect(faults).toEqual([]);
  expect(asked).toBeGreaterThan(50);
});
