import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempDisposable, readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openFileStore } from '../../content/index.ts';
import { openDatabase } from '../../store/index.ts';
import { ledgerCompliance } from '../compliance.ts';
import { bytesOf, fileHashOf, makeAuthor } from '../testing.ts';
import { type LedgerComponents, openLedger } from './ledger.ts';

const makeDir = () => mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
const onListenerError = () => {};

async function open(dir: string, options: Partial<LedgerComponents> = {}) {
  const stack = new AsyncDisposableStack();
  const content = await openFileStore(join(dir, 'content'));
  const database = stack.adopt(openDatabase(join(dir, 'node.db')), (one) => {
    one.close();
  });
  const ledger = stack.use(await openLedger({ database, content, onListenerError, ...options }));
  return { ledger, content, database, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

ledgerCompliance('SQLite', async ({ delayMs, ...bounds } = {}) => {
  const options = { bounds, ...(delayMs === undefined ? {} : { delayMs: () => delayMs }) };
  const stack = new AsyncDisposableStack();
  const dir = stack.adopt(await makeDir(), (one) => one.remove());
  let current = await open(dir.path, options);
  stack.defer(() => current[Symbol.asyncDispose]());
  return {
    ledger: current.ledger,
    content: current.content,
    async reopen() {
      await current[Symbol.asyncDispose]();
      current = await open(dir.path, options);
      return current.ledger;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
});

describe('openLedger', () => {
  test('accept: takes what check made, and nothing that only looks like it', async () => {
    await using dir = await makeDir();
    await using fixture = await open(dir.path);
    const { ledger } = fixture;
    const post = await makeAuthor().post('checked');
    const checked = ledger.check(post);
    for (const copy of [{ ...checked }, structuredClone(checked)]) {
      await expect(ledger.accept(copy)).rejects.toMatchObject({ code: 'MESSAGE_MALFORMED' });
    }
    expect(await ledger.accept(checked)).toMatchObject({ itemHash: post.item_hash, status: 'processed' });
    const forged = ledger.check({ ...(await makeAuthor().post('forged')), signature: `0x${'00'.repeat(65)}` });
    expect((await ledger.accept(forged)).status).toBe('rejected');
  });

  test('accept: keeps only so many rejected messages, for anyone can send those', async () => {
    await using dir = await makeDir();
    await using fixture = await open(dir.path, { bounds: { rejected: 2 } });
    const { ledger } = fixture;
    const author = makeAuthor();
    const hashes: string[] = [];
    for (const body of ['a', 'b', 'c', 'd']) {
      const post = { ...(await author.post(body)), signature: '0x00' };
      expect((await ledger.accept(post)).status).toBe('rejected');
      hashes.push(post.item_hash);
    }
    expect(hashes.map((hash) => ledger.get(hash)?.status)).toEqual([undefined, undefined, 'rejected', 'rejected']);
  });

  test('accept: settles a STORE whose file comes between the look at the disk and the record', async () => {
    await using dir = await makeDir();
    await using fixture = await open(dir.path);
    const { ledger, content } = fixture;
    const sizeOf = content.sizeOf.bind(content);
    content.sizeOf = async (fileHash) => {
      const before = await sizeOf(fileHash);
      content.sizeOf = sizeOf;
      await content.put(bytesOf('file'), { maxBytes: 9 });
      return before;
    };
    const store = await makeAuthor().store(fileHashOf('file'));
    expect((await ledger.accept(store)).status).toBe('processed');
  });

  test('pending: a defect of this node costs the message its tries, and it gets in when it is sent again', async () => {
    await using dir = await makeDir();
    await using fixture = await open(dir.path, { delayMs: () => 0 });
    const { ledger, database } = fixture;
    const author = makeAuthor();
    const post = await author.post('x');
    const amend = await author.amend(post.item_hash, 'y');
    database.exec(`CREATE TRIGGER defect BEFORE INSERT ON posts WHEN new.post_type = 'amend'
      BEGIN SELECT RAISE(ABORT, 'a defect'); END`);
    const rejected = Promise.withResolvers<unknown>();
    ledger.subscribe((event) => event.type === 'rejected' && rejected.resolve(event.reason));
    await ledger.accept(amend);
    expect((await ledger.accept(post)).status).toBe('processed');
    expect(await rejected.promise).toMatchObject({
      code: -1,
      errors: [expect.stringContaining('a defect'), expect.any(String)],
    });
    await expect(ledger.accept(amend)).rejects.toThrow('a defect');
    expect(ledger.get(amend.item_hash)?.status).toBe('rejected');
    database.exec('DROP TRIGGER defect');
    expect((await ledger.accept(amend)).status).toBe('processed');
  });

  test('accept: has committed before it answers, when kill -9 follows the answer', async () => {
    await using dir = await makeDir();
    const post = await makeAuthor().post('survives');
    const source = join(import.meta.dirname, '..', '..');
    const script = `
      import { openFileStore } from ${JSON.stringify(join(source, 'content/index.ts'))};
      import { openDatabase } from ${JSON.stringify(join(source, 'store/index.ts'))};
      import { openLedger } from ${JSON.stringify(join(source, 'ledger/index.ts'))};
      const content = await openFileStore(${JSON.stringify(join(dir.path, 'content'))});
      const database = openDatabase(${JSON.stringify(join(dir.path, 'node.db'))});
      const ledger = await openLedger({ database, content, onListenerError: () => {} });
      await ledger.accept(${JSON.stringify(post)});
      process.kill(process.pid, 'SIGKILL');`;
    const node = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' });
    expect(await once(node, 'exit')).toEqual([null, 'SIGKILL']);
    await using fixture = await open(dir.path);
    expect(fixture.ledger.get(post.item_hash)?.status).toBe('processed');
  });

  test('accept: takes the real messages of the reference network', async () => {
    await using dir = await makeDir();
    await using fixture = await open(dir.path);
    const vectors = join(import.meta.dirname, '../../../../messages/vectors/reference');
    const answers: Record<string, unknown> = {};
    for (const name of (await readdir(vectors)).filter((one) => one.endsWith('.json'))) {
      const {
        content: _c,
        confirmed: _d,
        confirmations: _e,
        ...row
      } = JSON.parse(await readFile(join(vectors, name), 'utf8'));
      const signature = typeof row.signature === 'string' ? row.signature : JSON.stringify(row.signature);
      const { status, reason } = await fixture.ledger.accept({ ...row, signature });
      answers[name.slice(0, -5)] = reason === undefined ? status : [status, reason.code];
    }
    expect(answers).toEqual({
      aggregate: ['pending', 3],
      amend: ['pending', 101],
      forget: ['pending', 501],
      'instance-gpu-payg': ['pending', 301],
      post: 'processed',
      'post-sol': 'processed',
      program: ['pending', 301],
      'store-ipfs': ['pending', 4],
    });
  });
});
