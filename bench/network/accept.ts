import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildMessage, type Envelope, verifySignature } from '@vmlet/messages';
import { createSolSigner, type Signer } from '@vmlet/messages/sign';
import { openDatabase, transact } from '../../packages/node/src/store/index.ts';
import { makeTestHome } from '../../tests/framework/node-process.ts';
import { type PartOptions, type PartResult, ratiosOf } from '../part.ts';
import { rowOf } from '../stats.ts';
import { jsonPost, type Shot, shoot } from './load.ts';

/** Messages of one sample. */
const MESSAGES = 3000;
/** Connections that send them, each with one message under way: so many are committed together at most. */
const CONNECTIONS = 64;
/** Node.js compiles what is called often while it runs. */
const WARM_UP_MESSAGES = 6000;
const MESSAGES_PATH = '/api/v0/messages';

/**
 * Signed inline POSTs through the HTTP API of a node in a process of its own, in messages a second; and beside them, in
 * turn, what bounds it on this host: the same texts inserted into a table alone, as many in a transaction as are under
 * way, and the checks of signatures alone.
 */
export async function benchAccept({ runs, tell }: PartOptions): Promise<Pick<PartResult, 'rows' | 'ratios'>> {
  await using home = await makeTestHome();
  await using folder = await mkdtempDisposable(join(tmpdir(), 'vmlet-bench-'));
  const node = await home.start();
  using table = openBareTable(join(folder.path, 'bare.db'));
  const sol = await signed(createSolSigner(new Uint8Array(32).fill(7)), MESSAGES);
  await accept(node.url, await signed(node.signer, WARM_UP_MESSAGES));
  const samples = { accept: [] as number[], inserts: [] as number[], evm: [] as number[], ed25519: [] as number[] };
  for (let index = 0; index < runs; index++) {
    tell(`accept ${index + 1} of ${runs}`);
    const messages = await signed(node.signer, MESSAGES);
    samples.accept.push(await accept(node.url, messages));
    samples.inserts.push(rateOf(messages, (all) => table.insert(all)));
    samples.evm.push(rateOf(messages, check));
    samples.ed25519.push(rateOf(sol, check));
  }
  const rows = [
    rowOf('accept-messages', '/s', samples.accept),
    rowOf('bare-inserts', '/s', samples.inserts),
    rowOf('signature-checks', '/s', samples.evm),
    rowOf('signature-checks-ed25519', '/s', samples.ed25519),
  ];
  const pairs = [
    ['accept-messages', 'bare-inserts'],
    ['accept-messages', 'signature-checks'],
  ] as const;
  return { rows, ratios: ratiosOf(rows, pairs) };
}

async function accept(url: string, messages: readonly Envelope[]): Promise<number> {
  const shots = messages.map(
    (message): Shot => ({ request: jsonPost(MESSAGES_PATH, JSON.stringify({ sync: false, message })), status: 200 }),
  );
  return await shoot(url, shots, { connections: CONNECTIONS });
}

/** Posts that nobody has seen, of the size of a note. */
async function signed(signer: Signer, count: number): Promise<Envelope[]> {
  const messages: Envelope[] = [];
  for (let index = 0; index < count; index++) {
    const content = { type: 'bench', content: { body: `${crypto.randomUUID()} ${'x'.repeat(200)}` } };
    messages.push(await buildMessage({ signer, type: 'POST', content, channel: 'BENCH', now: new Date() }));
  }
  return messages;
}

function check(messages: readonly Envelope[]): void {
  for (const message of messages) {
    if (!verifySignature(message).ok) throw new Error('Cannot measure: a signature is refused, expected good ones');
  }
}

function rateOf<T>(input: readonly T[], work: (input: readonly T[]) => void): number {
  const startMs = performance.now();
  work(input);
  return (input.length / (performance.now() - startMs)) * 1000;
}

/** A table of what a message brings, with the index that its hash needs, committed to disk as the node's is. */
function openBareTable(path: string) {
  const up = `CREATE TABLE messages (item_hash TEXT PRIMARY KEY, type TEXT, chain TEXT, sender TEXT, channel TEXT,
    time REAL, item_type TEXT, item_content TEXT, signature TEXT) STRICT`;
  const database = openDatabase(path, { migrations: [{ version: 1, up }] });
  const statement = database.prepare(`INSERT INTO messages VALUES (@item_hash, @type, @chain, @sender, @channel, @time,
    @item_type, @item_content, @signature)`);
  return {
    insert(messages: readonly Envelope[]) {
      for (let from = 0; from < messages.length; from += CONNECTIONS) {
        transact(database, () => {
          for (const message of messages.slice(from, from + CONNECTIONS)) statement.run(message);
        });
      }
    },
    [Symbol.dispose]: () => {
      database.close();
    },
  };
}
