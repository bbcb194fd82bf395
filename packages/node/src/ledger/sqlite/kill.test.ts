import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Envelope } from '@vmlet/messages';
import { expect, test } from 'vitest';
import { openFileStore } from '../../content/index.ts';
import { openDatabase } from '../../store/index.ts';
import { fileHashOf, makeAuthor } from '../testing.ts';
import { openLedger } from './ledger.ts';

const SOURCE = join(import.meta.dirname, '..', '..');

/** Hands in all messages of a file at once, and writes the hash of each that was answered for. */
const script = (dir: string) => `
  import { readFileSync } from 'node:fs';
  import { openFileStore } from ${JSON.stringify(join(SOURCE, 'content/index.ts'))};
  import { openDatabase } from ${JSON.stringify(join(SOURCE, 'store/index.ts'))};
  import { openLedger } from ${JSON.stringify(join(SOURCE, 'ledger/index.ts'))};
  const content = await openFileStore(${JSON.stringify(join(dir, 'content'))});
  const database = openDatabase(${JSON.stringify(join(dir, 'node.db'))});
  const ledger = await openLedger({ database, content, onListenerError: () => {} });
  const messages = JSON.parse(readFileSync(${JSON.stringify(join(dir, 'messages.json'))}, 'utf8'));
  const accept = async (message) => {
    const { itemHash, status } = await ledger.accept(message);
    process.stdout.write(itemHash + ' ' + status + '\\n');
  };
  for (let start = 0; start < messages.length; start += 20) {
    await Promise.all(messages.slice(start, start + 20).map(accept));
  }
  process.stdin.resume();`;

async function open(dir: string) {
  const stack = new AsyncDisposableStack();
  const content = await openFileStore(join(dir, 'content'));
  const database = stack.adopt(openDatabase(join(dir, 'node.db')), (one) => void one.close());
  const ledger = stack.use(await openLedger({ database, content, onListenerError: () => {} }));
  return { ledger, database, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** Runs the script until it has answered for `kill` messages, or to the step that ends it. */
async function runUntil(dir: string, { kill, failpoint }: { kill?: number; failpoint?: string }): Promise<string[]> {
  const env = { ...process.env, ...(failpoint === undefined ? {} : { VMLET_FAILPOINT: `${failpoint}=exit9` }) };
  const child = spawn(process.execPath, ['--input-type=module', '-e', script(dir)], {
    env,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exit = once(child, 'exit');
  const answered: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    answered.push(line);
    if (answered.length === kill) child.kill('SIGKILL');
  }
  expect(await exit).toEqual([null, 'SIGKILL']);
  return answered;
}

async function withMessages(dir: string): Promise<Envelope[]> {
  const author = makeAuthor();
  const messages: Envelope[] = [];
  for (let index = 0; index < 60; index++) {
    messages.push(await author.post(index), await author.aggregate(`key ${index % 3}`, { [`m${index}`]: index }));
  }
  messages.push(await author.amend(messages[0]?.item_hash ?? '', 'x'), await author.amend(fileHashOf('never'), 'x'));
  await writeFile(join(dir, 'messages.json'), JSON.stringify(messages));
  return messages;
}

test.each([1, 30, 75])(
  'accept: what was answered is there, whole, when kill -9 comes after %i answers',
  async (kill) => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
    const messages = await withMessages(dir.path);
    const answered = await runUntil(dir.path, { kill });
    expect(answered.length).toBeGreaterThanOrEqual(kill);
    await using after = await open(dir.path);
    for (const line of answered) {
      const [hash = '', status] = line.split(' ');
      expect(after.ledger.get(hash)?.status).toBe(status);
    }
    expectWhole(after);
    // The rest comes in as if nothing had happened.
    const result = await after.ledger.bulk(messages);
    expect(result).toMatchObject({ processed: messages.length - 1, pending: 1 });
    expect(after.ledger.aggregate(messages[0]?.sender ?? '').map(({ content }) => Object.keys(content).length)).toEqual(
      [20, 20, 20],
    );
  },
);

test.each(['message.checked', 'message.recorded'])('accept: leaves all or nothing, when killed at %s', async (step) => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  const messages = await withMessages(dir.path);
  expect(await runUntil(dir.path, { failpoint: step })).toEqual([]);
  await using after = await open(dir.path);
  const found = messages.filter(({ item_hash }) => after.ledger.get(item_hash) !== undefined);
  // The messages of one turn of the event loop are committed together.
  expect(found).toHaveLength(step === 'message.checked' ? 0 : 20);
  expectWhole(after);
});

test('accept: a message that waits keeps its tries and the time of the next, when its node is killed', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  const messages = await withMessages(dir.path);
  await runUntil(dir.path, { kill: messages.length });
  const last = messages.at(-1)?.item_hash ?? '';
  const read = async () => {
    await using after = await open(dir.path);
    const statement = after.database.prepare('SELECT tries, next_attempt_ms FROM messages WHERE item_hash = ?');
    return [after.ledger.get(last)?.status, statement.get(last)];
  };
  const first = await read();
  expect(first).toEqual(['pending', { tries: 0, next_attempt_ms: expect.any(Number) }]);
  expect(await read()).toEqual(first);
});

/** Every message in force has its row in the index, and the other way round. */
function expectWhole({ database }: Awaited<ReturnType<typeof open>>): void {
  expect(database.pragma('foreign_key_check')).toEqual([]);
  expect(database.pragma('integrity_check', { simple: true })).toBe('ok');
  const count = (sql: string) => database.prepare<[], number>(sql).pluck().get();
  const inForce = count("SELECT count(*) FROM messages WHERE status = 'processed'");
  expect(count('SELECT (SELECT count(*) FROM posts) + (SELECT count(*) FROM aggregate_elements)')).toBe(inForce);
  expect(count('SELECT count(*) FROM list_queue')).toBe(0);
}
