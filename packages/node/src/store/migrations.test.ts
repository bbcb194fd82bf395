import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openFileStore } from '../content/index.ts';
import { openLedger } from '../ledger/index.ts';
import { bytesOf, fileHashOf, makeAuthor } from '../ledger/testing.ts';
import { openDatabase } from './database.ts';
import { nodeMigrations } from './migrations.ts';

test('migrations: keep all messages of a home of version 2 and what refers to them, and apply what had no effect', async () => {
  await using stack = new AsyncDisposableStack();
  const dir = stack.adopt(await mkdtempDisposable(join(tmpdir(), 'vmlet-test-')), (one) => one.remove());
  const path = join(dir.path, 'node.db');
  const author = makeAuthor();
  const store = await author.store(fileHashOf('file'));
  const program = await author.program({ code: store.item_hash, runtime: store.item_hash }, { allow_amend: true });
  const aggregate = await author.aggregate('key', { a: 1 });
  const gone = await author.post('gone');
  const forget = await author.forget(gone.item_hash);
  const waiting = await author.forget('a'.repeat(64));
  const old = openDatabase(path, { migrations: nodeMigrations.slice(0, 2) });
  const insert = old.prepare(`
    INSERT INTO messages (item_hash, status, type, chain, sender, time, item_type, item_content, signature, address,
      received_ms) VALUES (@item_hash, @status, @type, @chain, @sender, @time, @item_type, @item_content, @signature,
      @sender, 7)`);
  for (const message of [store, program, aggregate, forget]) insert.run({ ...message, status: 'processed' });
  insert.run({ ...gone, item_content: null, status: 'forgotten' });
  insert.run({ ...waiting, status: 'pending' });
  const owner = author.signer.address.toLowerCase();
  old
    .prepare('INSERT INTO stores VALUES (?, ?, ?, 4, ?, 0, 1)')
    .run(store.item_hash, owner, fileHashOf('file'), store.item_hash);
  old.prepare('INSERT INTO programs VALUES (?, ?, NULL, 1)').run(program.item_hash, owner);
  old.prepare('INSERT INTO program_refs VALUES (?, ?)').run(program.item_hash, store.item_hash);
  old.prepare('INSERT INTO forgets VALUES (?, ?)').run(gone.item_hash, forget.item_hash);
  old.prepare("INSERT INTO waits VALUES (?, 'message', ?)").run(waiting.item_hash, 'a'.repeat(64));
  old.prepare("INSERT INTO names VALUES ('site', ?, ?, 1)").run(owner, program.item_hash);
  old.close();

  const database = stack.adopt(openDatabase(path), (one) => void one.close());
  const content = await openFileStore(join(dir.path, 'content'));
  await content.put(bytesOf('file'), { maxBytes: 9 });
  const ledger = stack.use(await openLedger({ database, content, onListenerError: () => {} }));
  expect(ledger.program(program.item_hash)?.receivedMs).toBe(7);
  expect(ledger.programsUsing(store.item_hash).map(({ itemHash }) => itemHash)).toEqual([program.item_hash]);
  expect(database.prepare('SELECT name, item_hash FROM names').all()).toEqual([
    { name: 'site', item_hash: program.item_hash },
  ]);
  expect(ledger.get(gone.item_hash)).toMatchObject({ status: 'forgotten', forgotten_by: [forget.item_hash] });
  expect(ledger.get(waiting.item_hash)).toMatchObject({ status: 'pending', error_code: 501 });
  expect(ledger.aggregate(author.signer.address)).toMatchObject([{ key: 'key', content: { a: 1 } }]);
  const inForce = ledger.processedSince(0, { limit: 9 }).map(({ message }) => message.itemHash);
  expect(inForce).toEqual([store.item_hash, program.item_hash, forget.item_hash, aggregate.item_hash]);
  const replacement = await author.program(
    { code: store.item_hash, runtime: store.item_hash },
    { replaces: program.item_hash },
  );
  expect((await ledger.accept(replacement)).status).toBe('processed');
  expect(database.pragma('foreign_keys', { simple: true })).toBe(1);
});
