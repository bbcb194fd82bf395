import { expect, test } from 'vitest';
import { NetworkCode } from './codes.ts';
import { codesOf, type MakeLedger, putFiles } from './compliance-fixture.ts';
import type { LedgerEvent } from './events.ts';
import type { Ledger } from './log.ts';
import { fileHashOf, makeAuthor } from './testing.ts';

/** Giving up messages in force. */
export function giving(makeFixture: MakeLedger): void {
  test('startRemoving: leaves a message in force until it is removed, and can be taken back', async () => {
    await using fixture = await makeFixture();
    const { ledger } = fixture;
    const author = makeAuthor();
    await putFiles(fixture, 'file');
    const store = await author.store(fileHashOf('file'));
    const hash = store.item_hash;
    expect(await ledger.startRemoving(hash, { reason: 'x' })).toBe(false);
    await codesOf(fixture, [store]);
    const told: string[] = [];
    ledger.subscribe(({ type, itemHash }) => told.push(`${type} ${itemHash}`));
    expect(await ledger.remove(hash)).toBe(false);
    expect(await ledger.startRemoving(hash, { reason: 'not paid' })).toBe(true);
    expect(await ledger.startRemoving(hash, { reason: 'again' })).toBe(false);
    expect(ledger.get(hash)).toMatchObject({ status: 'removing', reason: 'not paid', message: { content: {} } });
    expect(ledger.store(hash)?.fileHash).toBe(fileHashOf('file'));
    expect(await ledger.restore(hash)).toBe(true);
    expect(ledger.get(hash)?.status).toBe('processed');
    await ledger.startRemoving(hash, { reason: 'not paid' });
    expect(await ledger.remove(hash)).toBe(true);
    expect(told).toEqual([`removing ${hash}`, `restored ${hash}`, `removing ${hash}`, `removed ${hash}`]);
    expect(ledger.store(hash)).toBeUndefined();
    const { item_content: _gone, ...message } = store;
    const removed = { status: 'removed', message, reason: 'not paid', removed_at: expect.stringMatching(/T.*Z$/) };
    expect(ledger.get(hash)).toMatchObject(removed);
    expect(JSON.stringify(ledger.get(hash))).not.toContain(fileHashOf('file'));
    expect(await codesOf(fixture, [store])).toEqual(['removed']);
    const reopened = await fixture.reopen();
    expect(reopened.get(hash)).toMatchObject(removed);
    await reopened.accept(await author.forget(hash));
    expect(reopened.get(hash)?.status).toBe('forgotten');
  });

  test('processedSince: tells all in force in the order they came in force, over restarts, page by page', async () => {
    await using fixture = await makeFixture();
    const author = makeAuthor();
    const posts = [];
    for (const text of ['a', 'b', 'c', 'd']) posts.push(await author.post(text));
    const amend = await author.amend(posts[3]?.item_hash ?? '', 'e');
    await codesOf(fixture, [amend, ...posts]);
    await codesOf(fixture, [await author.forget(posts[1]?.item_hash ?? '')]);
    const seqs: number[] = [];
    fixture.ledger.subscribe((event) => event.type === 'processed' && seqs.push(event.seq));
    const last = await author.post('f');
    await codesOf(fixture, [last]);
    const reopened = await fixture.reopen();
    const all = reopened.processedSince(0, { limit: 100 });
    expect(all.map(({ message }) => message.itemHash)).toEqual(
      [posts[0], posts[2], posts[3], amend, undefined, last].map((one) => one?.item_hash ?? expect.any(String)),
    );
    expect(all.at(-1)?.seq).toBe(seqs[0]);
    expect(reopened.newestSeq()).toBe(seqs[0]);
    expect(pages(reopened, 2)).toEqual(all.map(({ seq }) => seq));
  });
}

function pages(ledger: Ledger, limit: number): number[] {
  const seqs: number[] = [];
  for (;;) {
    const page = ledger.processedSince(seqs.at(-1) ?? 0, { limit });
    seqs.push(...page.map(({ seq }) => seq));
    if (page.length < limit) return seqs;
  }
}

/** Messages that wait. */
export function retrying(makeFixture: MakeLedger): void {
  test('pending: is tried ten times more, and then rejected with what it waits for', async () => {
    await using fixture = await makeFixture({ delayMs: 0 });
    const told = Promise.withResolvers<LedgerEvent>();
    fixture.ledger.subscribe((event) => event.type === 'rejected' && told.resolve(event));
    const amend = await makeAuthor().amend('a'.repeat(64), 'x');
    expect(await codesOf(fixture, [amend])).toEqual([NetworkCode.AMEND_TARGET_MISSING]);
    const errors = [expect.stringContaining('a'.repeat(64)), 'Cannot wait longer: tried 10 times'];
    expect(await told.promise).toMatchObject({ itemHash: amend.item_hash, reason: { code: 101, errors } });
    expect(fixture.ledger.get(amend.item_hash)).toMatchObject({ status: 'rejected', error_code: 101 });
  });

  test('pending: is refused, when too many of a sender wait, and leaves no record', async () => {
    await using fixture = await makeFixture({ pendingOfSender: 2, delayMs: 1_000_000 });
    const author = makeAuthor();
    const amends = [];
    for (const text of ['a', 'b', 'c']) amends.push(await author.amend(fileHashOf(text), text));
    const [first, second, third] = amends;
    await codesOf(fixture, [first, second]);
    await expect(fixture.ledger.accept(third)).rejects.toMatchObject({ code: 'PENDING_EXCEEDED' });
    expect(fixture.ledger.get(third?.item_hash ?? '')).toBeUndefined();
    // What is here may come again, what waits for nothing is taken, and another sender has room of its own.
    const others = await makeAuthor().amend(fileHashOf('a'), 'x');
    expect(await codesOf(fixture, [first, await author.post('x'), others])).toEqual([101, 'processed', 101]);
  });

  test('bulk: takes many by the same rules, in the order they come, and tells those that cannot be read', async () => {
    await using fixture = await makeFixture({ pendingOfSender: 1, delayMs: 1_000_000 });
    const author = makeAuthor();
    const post = await author.post('x');
    const waiting = await author.amend(post.item_hash, 'y');
    const messages = [
      ...(await Promise.all(Array.from({ length: 600 }, (_, index) => author.post(index)))),
      waiting,
      await author.amend(fileHashOf('never'), 'y'),
      await author.amend(fileHashOf('not either'), 'y'),
      { ...(await author.post('z')), signature: '0x00' },
      { no: 'message' },
      post,
    ];
    const result = await fixture.ledger.bulk(messages);
    expect(result).toMatchObject({ pending: 3, processed: 601, rejected: 1, malformed: 1, faults: [{ index: 604 }] });
    expect(fixture.ledger.get(waiting.item_hash)?.status).toBe('processed');
    expect(fixture.ledger.processedSince(0, { limit: 1000 })).toHaveLength(602);
    expect(await fixture.ledger.bulk(messages)).toMatchObject({ processed: 602, pending: 2, rejected: 1 });
  });
}
