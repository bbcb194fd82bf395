import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openFileStore } from '../../packages/node/src/content/index.ts';
import { openLedger } from '../../packages/node/src/ledger/index.ts';
import { openDatabase, openHome, transact } from '../../packages/node/src/store/index.ts';
import { makeTestHome } from '../../tests/framework/node-process.ts';
import type { PartOptions, PartResult } from '../part.ts';
import { type Row, rowOf } from '../stats.ts';
import { addressOf, chance, messageOf, messagesUpTo, START_SECONDS, STORED_FILE } from './corpus.ts';

/** Requests of each row in a run. */
const REQUESTS = 100;
/** The rate of the bare inserts is measured over so many at most. */
const BARE_MESSAGES = 100_000;
const BARE_CHUNK = 500;
const LIST = '/api/v0/messages.json';

/**
 * Lists over many messages (`--messages`, a million unless given), loaded through the ledger into the home of a node, asked
 * for over HTTP; and beside it the rate at which SQLite inserts the same texts into a table alone.
 */
export async function benchLists({
  runs,
  messages: count,
  tell,
}: PartOptions): Promise<Pick<PartResult, 'rows' | 'ratios'>> {
  await using home = await makeTestHome();
  tell(`loading ${count} messages`);
  const loaded = await load(home.home, { count });
  const bare = await bareRate(Math.min(count, BARE_MESSAGES));
  tell(`loaded ${Math.round(loaded)} a second`);
  const node = await home.start();
  const measured = await askFor(node.url, { runs, count, tell });
  const rows: Row[] = [rowOf('load-messages', '/s', [loaded]), rowOf('bare-bulk-inserts', '/s', [bare])];
  return {
    rows: [...rows, ...measured],
    ratios: { 'load-messages/bare-bulk-inserts': Number((loaded / bare).toPrecision(3)) },
  };
}

/** Asks a node that has so many of the messages for everything, in turn. */
export async function askFor(
  url: string,
  { runs, count, tell }: { runs: number; count: number; tell: PartOptions['tell'] },
): Promise<Row[]> {
  const requests = requestsOver(count);
  const samples = new Map(Object.keys(requests).map((name): [string, number[]] => [name, []]));
  for (let run = 0; run < runs; run++) {
    tell(`lists ${run + 1} of ${runs}`);
    for (let turn = 0; turn < REQUESTS; turn++) {
      for (const [name, pathOf] of Object.entries(requests)) {
        const path = pathOf(run * REQUESTS + turn);
        samples.get(name)?.push(await timed(`${url}${path}`));
      }
    }
  }
  return [...samples].map(([name, times]) => rowOf(name, 'ms', times));
}

/** What is asked for, by the number of the request. */
function requestsOver(count: number): Record<string, (turn: number) => string> {
  const any = (turn: number, purpose: number) => Math.floor(chance(turn, purpose) * count);
  const cursorAt = (index: number) => {
    const { item_hash: h, time } = messageOf(index);
    const cursor = { h, t: new Date(time * 1000).toISOString(), s: time };
    return Buffer.from(JSON.stringify(cursor)).toString('base64url');
  };
  const day = (turn: number) => {
    const from = START_SECONDS + any(turn, 24) / 2;
    return `startDate=${from}&endDate=${from + 86_400}`;
  };
  return {
    'list-first-page': () => `${LIST}?pagination=20&cursor=`,
    'list-deep-cursor': (turn) => `${LIST}?pagination=20&cursor=${cursorAt(any(turn, 21))}`,
    'list-deep-cursor-200': (turn) => `${LIST}?pagination=200&contentFormat=headers&cursor=${cursorAt(any(turn, 22))}`,
    'list-selective': (turn) => {
      const { sender, channel } = messageOf(any(turn, 23));
      const filters = [
        `addresses=${sender}`,
        `refs=ref-${turn % 5000}`,
        `tags=tag-${999 - (turn % 500)}`,
        `channels=${channel}`,
      ];
      return `${LIST}?pagination=20&cursor=&${filters[turn % filters.length]}`;
    },
    // The last one finds nothing, in facets of half and a fifth of all that lie among each other.
    'list-combined': (turn) => {
      const filters = [
        `msgTypes=POST&channels=channel-${turn % 20}&tags=odd`,
        `msgTypes=STORE,AGGREGATE&addresses=${addressOf(turn % 300)}&${day(turn)}`,
        `contentTypes=type-${turn % 10}&channels=channel-1,channel-2&tags=even&${day(turn)}`,
        'msgTypes=AGGREGATE&tags=even',
      ];
      return `${LIST}?pagination=20&cursor=${turn % 2 === 0 ? '' : cursorAt(any(turn, 25))}&${filters[turn % filters.length]}`;
    },
    'list-page': (turn) => `${LIST}?pagination=20&page=${1 + Math.floor(any(turn, 26) / 20)}`,
    'list-page-combined': (turn) =>
      `${LIST}?pagination=20&page=${1 + (turn % 50)}&msgTypes=POST&tags=odd,even&channels=channel-${turn % 20}`,
    'list-posts': (turn) => `/api/v1/posts.json?pagination=20&types=type-${turn % 50}&page=${1 + (turn % 10)}`,
  };
}

async function timed(url: string): Promise<number> {
  const startMs = performance.now();
  const response = await fetch(url);
  await response.arrayBuffer();
  if (response.status !== 200) throw new Error(`Cannot measure '${url}': answered ${response.status}`);
  return performance.now() - startMs;
}

async function* bytesOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

/** Loads as a node would that catches up, and answers with messages a second. */
async function load(dir: string, { count }: { count: number }): Promise<number> {
  using home = await openHome(dir);
  const content = await openFileStore(home.paths.content);
  await content.put(bytesOf(STORED_FILE), { maxBytes: STORED_FILE.length });
  const database = openDatabase(home.paths.database);
  try {
    const onListenerError = (error: unknown) => {
      throw error;
    };
    using ledger = await openLedger({ database, content, onListenerError });
    const startMs = performance.now();
    const { processed, faults } = await ledger.bulk(messagesUpTo(count), { verified: true });
    const seconds = (performance.now() - startMs) / 1000;
    if (processed !== count) throw new Error(`Cannot measure: ${processed} in force of ${count}, ${faults[0]?.cause}`);
    return count / seconds;
  } finally {
    database.close();
  }
}

/** The same texts into a table with the index of its hash, committed as often. */
async function bareRate(count: number): Promise<number> {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'vmlet-bench-'));
  const up = `CREATE TABLE messages (item_hash TEXT PRIMARY KEY, type TEXT, chain TEXT, sender TEXT, channel TEXT,
    time REAL, item_type TEXT, item_content TEXT, signature TEXT) STRICT`;
  const database = openDatabase(join(folder.path, 'bare.db'), { migrations: [{ version: 1, up }] });
  const statement = database.prepare(`INSERT INTO messages VALUES (@item_hash, @type, @chain, @sender, @channel, @time,
    @item_type, @item_content, @signature)`);
  const all = [...messagesUpTo(count)];
  const startMs = performance.now();
  for (let from = 0; from < count; from += BARE_CHUNK) {
    transact(database, () => {
      for (const message of all.slice(from, from + BARE_CHUNK)) statement.run(message);
    });
  }
  const seconds = (performance.now() - startMs) / 1000;
  database.close();
  return count / seconds;
}
