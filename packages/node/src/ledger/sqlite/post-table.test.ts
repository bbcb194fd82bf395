import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openFileStore } from '../../content/index.ts';
import { openDatabase } from '../../store/index.ts';
import { makeAuthor } from '../testing.ts';
import { openLedger } from './ledger.ts';

test('posts: say which amend counts, the newest by its signed time, in whatever order they come and go', async () => {
  await using stack = new AsyncDisposableStack();
  const dir = stack.adopt(await mkdtempDisposable(join(tmpdir(), 'vmlet-test-')), (one) => one.remove());
  const content = await openFileStore(join(dir.path, 'content'));
  const database = stack.adopt(openDatabase(join(dir.path, 'node.db')), (one) => void one.close());
  const ledger = stack.use(await openLedger({ database, content, onListenerError: () => {} }));
  const author = makeAuthor();
  const post = await author.post('one');
  const [second, third] = [await author.amend(post.item_hash, 'two'), await author.amend(post.item_hash, 'three')];
  const latest = () =>
    database.prepare('SELECT latest, last_updated FROM posts WHERE item_hash = ?').get(post.item_hash);
  for (const message of [third, post, second]) await ledger.accept(message);
  expect(latest()).toEqual({ latest: third.item_hash, last_updated: third.time });
  await ledger.accept(await author.forget(third.item_hash));
  expect(latest()).toEqual({ latest: second.item_hash, last_updated: second.time });
  await ledger.accept(await author.forget(second.item_hash));
  expect(latest()).toEqual({ latest: post.item_hash, last_updated: post.time });
});
