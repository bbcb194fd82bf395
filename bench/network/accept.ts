import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildMessage, type Envelope, verifySignature } from '@vmlet/messages';
import { createSolSigner, type Signer } from '@vmlet/messages/sign';
import { openDatabase, transact } from '../../packages/node/src/store/index.ts';
import { jsonPost, type Shot, shoot } from './load.ts';

/** Messages of one sample. */
const MESSAGES = 2000;
/** Connections that send them, each with one message under way: as many are committed together at most. */
const CONNECTIONS = 64;
/** Checks of one sample: a second's worth would warm the processor more than it tells. */
const CHECKS = 2000;
const MESSAGES_PATH = '/api/v0/messages';

/** What takes signed messages and lets itself be measured; `signer` may publish there. */
export interface AcceptTarget {
  readonly url: string;
  readonly signer: Signer;
}

/** Rows of the part, each call one sample, in messages a second. */
export interface AcceptRates extends AsyncDisposable {
  readonly rows: Record<string, () => Promise<number>>;
}

/**
 * Signed inline POSTs through the HTTP API, and beside them what bounds it on this host: the same texts inserted into a
 * table alone, as many in a transaction as are under way, and the checks of their signatures alone.
 */
export async function prepareAccept({ url, signer }: AcceptTarget): Promise<AcceptRates> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.adopt(await mkdtempDisposable(join(tmpdir(), 'vmlet-bench-')), (one) => one.remove());
  const insert = stack.use(openBareTable(join(folder.path, 'bare.db')));
  const sol = createSolSigner(new Uint8Array(32).fill(7));
  const [evmMessages, solMessages] = [await signed(signer, CHECKS), await signed(sol, CHECKS)];
  const rows = {
    'accept-messages': async () => await accept({ url, signer }),
    'bare-inserts': async () => rateOf(MESSAGES, await signed(signer, 1, { copies: MESSAGES }), insert.all),
    'signature-checks': async () => checks(evmMessages),
    'ed25519-checks': async () => checks(solMessages),
  };
  const owned = stack.move();
  return { rows, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function accept({ url, signer }: AcceptTarget): Promise<number> {
  const messages = await signed(signer, MESSAGES);
  const shots = messages.map(
    (message): Shot => ({ request: jsonPost(MESSAGES_PATH, JSON.stringify({ sync: false, message })), status: 200 }),
  );
  return await shoot(url, shots, { connections: CONNECTIONS });
}

/** Posts that nobody has seen, of the size of a note. With `copies`, as many that differ by their hash alone. */
async function signed(signer: Signer, count: number, { copies = 1 } = {}): Promise<Envelope[]> {
  const messages: Envelope[] = [];
  for (let index = 0; index < count; index++) {
    const content = { type: 'bench', content: { body: `${crypto.randomUUID()} ${'x'.repeat(200)}` } };
    messages.push(await buildMessage({ signer, type: 'POST', content, channel: 'BENCH', now: new Date() }));
  }
  if (copies === 1) return messages;
  return messages.flatMap((message) => Array.from({ length: copies }, () => ({ ...message, item_hash: randomHash() })));
}

function randomHash(): Envelope['item_hash'] {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('hex') as Envelope['item_hash'];
}

function checks(messages: readonly Envelope[]): number {
  return rateOf(messages.length, messages, (all) => {
    for (const message of all) {
      if (!verifySignature(message).ok) throw new Error('Cannot measure: a signature is refused, expected good ones');
    }
  });
}

function rateOf<T>(count: number, input: T, work: (input: T) => void): number {
  const startMs = performance.now();
  work(input);
  return (count / (performance.now() - startMs)) * 1000;
}

/** A table of what a message brings, with one index, committed to disk as the node's is. */
function openBareTable(path: string) {
  const up = `CREATE TABLE messages (item_hash TEXT PRIMARY KEY, type TEXT, chain TEXT, sender TEXT, channel TEXT,
    time REAL, item_type TEXT, item_content TEXT, signature TEXT) STRICT`;
  const database = openDatabase(path, { migrations: [{ version: 1, up }] });
  const statement = database.prepare(`INSERT INTO messages VALUES (@item_hash, @type, @chain, @sender, @channel, @time,
    @item_type, @item_content, @signature)`);
  return {
    all(messages: readonly Envelope[]) {
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
