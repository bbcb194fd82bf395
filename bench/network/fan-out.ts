import { once } from 'node:events';
import { buildMessage, type Envelope } from '@vmlet/messages';
import { deadline } from '@vmlet/node/deadline';
import { makeTestHome } from '../../tests/framework/node-process.ts';
import { type PartOptions, type PartResult, ratiosOf } from '../part.ts';
import { rowOf } from '../stats.ts';
import { startBareBroadcast } from './bare-broadcast.ts';
import { connectListeners } from './listeners.ts';
import { jsonPost, shoot } from './load.ts';

const SUBSCRIBERS = 1000;
const MESSAGES_PER_SECOND = 200;
const SAMPLE_SECONDS = 3;
const MESSAGES = MESSAGES_PER_SECOND * SAMPLE_SECONDS;
/** A message is sent when its time has come, looked at so often. In milliseconds. */
const TICK_MS = 5;
const CONNECTIONS = 16;
const MESSAGES_PATH = '/api/v0/messages';

/** Where messages go, and what tells of them. */
interface Feed {
  listeners: Awaited<ReturnType<typeof connectListeners>>;
  url: string;
  /** Fresh messages as requests, one each. */
  requests: () => Promise<Buffer[]>;
}

/**
 * Signed messages posted to a node in a process of its own, at 200 a second, and told to 1,000 WebSockets: from the
 * request's first byte to the last byte of the frame at a client, in milliseconds. Beside it, in turn, a server that
 * sends the same bytes by `ws` and does nothing else.
 */
export async function benchFanOut({ runs, tell }: PartOptions): Promise<Pick<PartResult, 'rows' | 'ratios'>> {
  await using home = await makeTestHome();
  const node = await home.start();
  await using bare = await startBareBroadcast();
  const path = '/api/ws0/messages?history=0';
  using told = await connectListeners(`${node.url}${path}`, SUBSCRIBERS);
  using broadcast = await connectListeners(bare.url, SUBSCRIBERS);
  const fresh = () => signed(node.signer);
  const feeds: Record<string, Feed> = {
    'fan-out': { listeners: told, url: node.url, requests: async () => requestsOf(await fresh(), MESSAGES_PATH) },
    'bare-broadcast': { listeners: broadcast, url: bare.url, requests: async () => requestsOf(await fresh(), '/') },
  };
  const samples = Object.keys(feeds).map((name) => ({ name, medians: [] as number[], tails: [] as number[] }));
  for (const feed of Object.values(feeds)) await latencies(feed);
  for (let index = 0; index < runs; index++) {
    tell(`fan-out ${index + 1} of ${runs}`);
    for (const sample of samples) {
      const feed = feeds[sample.name];
      if (feed === undefined) continue;
      const sorted = (await latencies(feed)).sort();
      sample.medians.push(sorted[Math.floor(sorted.length * 0.5)] ?? Number.NaN);
      sample.tails.push(sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN);
    }
  }
  const rows = samples.flatMap(({ name, medians, tails }) => [
    rowOf(name, 'ms', medians),
    rowOf(`${name}-p99`, 'ms', tails),
  ]);
  return { rows, ratios: ratiosOf(rows, [['fan-out-p99', 'bare-broadcast-p99']]) };
}

/** Sends one sample at its pace; of every client and message, how long it took. */
async function latencies({ listeners, url, requests }: Feed): Promise<Float64Array> {
  const shots = (await requests()).map((request) => ({ request, status: 200 }));
  const arriving = listeners.listen(MESSAGES);
  const startMs = performance.now();
  const sentAtMs: number[] = [];
  const sending: Promise<unknown>[] = [];
  while (sentAtMs.length < shots.length) {
    const due = Math.floor(((performance.now() - startMs) / 1000) * MESSAGES_PER_SECOND);
    const next = shots.slice(sentAtMs.length, due);
    for (const _shot of next) sentAtMs.push(performance.now());
    if (next.length > 0) sending.push(shoot(url, next, { connections: Math.min(next.length, CONNECTIONS) }));
    using tick = deadline(TICK_MS);
    await once(tick.signal, 'abort');
  }
  await Promise.all(sending);
  const all = new Float64Array(MESSAGES * SUBSCRIBERS);
  // Messages of one tick are told in whatever order they came into force: one that came for one sent later is not sooner.
  for (const [client, times] of (await arriving).entries()) {
    for (const [index, time] of times.entries()) {
      all[client * MESSAGES + index] = time - (sentAtMs[index] ?? Number.NaN);
    }
  }
  return all;
}

function requestsOf(messages: readonly Envelope[], path: string): Buffer[] {
  return messages.map((message) => jsonPost(path, JSON.stringify({ sync: false, message })));
}

async function signed(signer: Parameters<typeof buildMessage>[0]['signer']): Promise<Envelope[]> {
  const messages: Envelope[] = [];
  for (let index = 0; index < MESSAGES; index++) {
    const content = { type: 'bench', content: { body: `${crypto.randomUUID()} ${'x'.repeat(200)}` } };
    messages.push(await buildMessage({ signer, type: 'POST', content, channel: 'BENCH', now: new Date() }));
  }
  return messages;
}
