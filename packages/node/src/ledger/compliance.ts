import type { Envelope } from '@vmlet/messages';
import { describe, expect, test } from 'vitest';
import { NetworkCode } from './codes.ts';
import { aggregating } from './compliance-aggregates.ts';
import { converging } from './compliance-convergence.ts';
import type { MakeLedger } from './compliance-fixture.ts';
import { forgetting } from './compliance-forget.ts';
import { running } from './compliance-machines.ts';
import { posting } from './compliance-posts.ts';
import { authorizing } from './compliance-security.ts';
import { giving, retrying } from './compliance-states.ts';
import type { LedgerEvent } from './events.ts';
import type { Ledger } from './log.ts';
import { bytesOf, fileHashOf, makeAuthor } from './testing.ts';

/** What every ledger must do. */
export function ledgerCompliance(name: string, makeFixture: MakeLedger): void {
  describe(`${name} as a ledger`, () => {
    accepting(makeFixture);
    copies(makeFixture);
    permitting(makeFixture);
    waiting(makeFixture);
    filed(makeFixture);
    forgetting(makeFixture);
    posting(makeFixture);
    aggregating(makeFixture);
    authorizing(makeFixture);
    running(makeFixture);
    giving(makeFixture);
    retrying(makeFixture);
    converging(makeFixture);
  });
}

/** Collects what a ledger tells, each event as a short text. */
export function eventsOf(ledger: Ledger): string[] {
  const told: string[] = [];
  ledger.subscribe((event: LedgerEvent) => {
    if (event.type !== 'pending') told.push(`${event.type} ${event.itemHash}`);
  });
  return told;
}

function accepting(makeFixture: MakeLedger): void {
  test('accept: puts a message in force and tells of it once, however often it comes', async () => {
    await using fixture = await makeFixture();
    const { ledger } = fixture;
    const events = eventsOf(ledger);
    const post = await makeAuthor().post({ body: 'hello' });
    const answers = await Promise.all([1, 2, 3].map(() => ledger.accept(post)));
    answers.push(await ledger.accept(post));
    const answer = { itemHash: post.item_hash, status: 'processed', reason: undefined };
    expect(answers).toEqual([answer, answer, answer, answer]);
    expect(events).toEqual([`processed ${post.item_hash}`]);
    expect(ledger.get(post.item_hash)).toMatchObject({
      status: 'processed',
      item_hash: post.item_hash,
      reception_time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      message: {
        ...JSON.parse(JSON.stringify(post)),
        content: { type: 'test', content: { body: 'hello' } },
        confirmed: false,
        confirmations: [],
      },
    });
  });

  test('accept: keeps what it answered, over a restart', async () => {
    await using fixture = await makeFixture();
    const author = makeAuthor();
    const post = await author.post('x');
    const store = await author.store(fileHashOf('later'));
    await fixture.ledger.accept(post);
    await fixture.ledger.accept(store);
    const before = [post, store].map(({ item_hash }) => fixture.ledger.get(item_hash));
    const reopened = await fixture.reopen();
    expect([post, store].map(({ item_hash }) => reopened.get(item_hash))).toEqual(before);
  });

  test.each<[string, (message: Envelope) => unknown]>([
    ['of another shape', () => 'text'],
    ['of an unknown type', (message) => ({ ...message, type: 'NOTE' })],
    ['with another hash', (message) => ({ ...message, item_hash: 'a'.repeat(64) })],
    ['whose content is no JSON', (message) => ({ ...message, item_content: '{' })],
    ['with an unknown member', (message) => ({ ...message, extra: 1 })],
  ])('accept: throws and makes no record, of a message %s', async (_what, change) => {
    await using fixture = await makeFixture();
    const post = await makeAuthor().post('x');
    await expect(fixture.ledger.accept(change(post))).rejects.toMatchObject({ code: 'MESSAGE_MALFORMED' });
    expect(fixture.ledger.get(post.item_hash)).toBeUndefined();
    expect(fixture.ledger.get('a'.repeat(64))).toBeUndefined();
  });

  test('accept: throws and makes no record, when an inline content breaks its schema', async () => {
    await using fixture = await makeFixture();
    const message = await makeAuthor().sign('PROGRAM', { type: 'vm-function' });
    await expect(fixture.ledger.accept(message)).rejects.toMatchObject({ code: 'MESSAGE_MALFORMED' });
    expect(fixture.ledger.get(message.item_hash)).toBeUndefined();
  });
}

function permitting(makeFixture: MakeLedger): void {
  test('accept: rejects a content signed by another than its address', async () => {
    await using fixture = await makeFixture();
    const events = eventsOf(fixture.ledger);
    const message = await makeAuthor().sign('POST', { address: makeAuthor().signer.address, type: 'test', content: 1 });
    const { status, reason } = await fixture.ledger.accept(message);
    expect([status, reason?.code]).toEqual(['rejected', NetworkCode.PERMISSION]);
    expect(fixture.ledger.get(message.item_hash)).toMatchObject({
      status: 'rejected',
      message,
      error_code: 2,
      details: { errors: [expect.stringContaining('expected the address itself')] },
    });
    expect(events).toEqual([`rejected ${message.item_hash}`]);
  });

  test('accept: takes an address in another letter case for the same', async () => {
    await using fixture = await makeFixture();
    const author = makeAuthor();
    await fixture.content.put(bytesOf('x'), { maxBytes: 9 });
    const message = await author.store(fileHashOf('x'), { address: author.signer.address.toLowerCase() });
    expect((await fixture.ledger.accept(message)).status).toBe('processed');
    expect(fixture.ledger.storesOf(author.signer.address.toUpperCase().replace('0X', '0x'))).toHaveLength(1);
  });
}

function copies(makeFixture: MakeLedger): void {
  test('accept: lets the genuine message in, after a forged copy was rejected', async () => {
    await using fixture = await makeFixture();
    const post = await makeAuthor().post('x');
    const forged = { ...post, signature: `0x${'1b'.repeat(65)}` };
    const first = await fixture.ledger.accept(forged);
    expect([first.status, first.reason?.code]).toEqual(['rejected', NetworkCode.SIGNATURE]);
    expect(fixture.ledger.get(post.item_hash)).toMatchObject({ status: 'rejected', error_code: 1 });
    expect((await fixture.ledger.accept(post)).status).toBe('processed');
  });

  test('accept: changes nothing, when a forged copy follows the genuine message', async () => {
    await using fixture = await makeFixture();
    const post = await makeAuthor().post('x');
    await fixture.ledger.accept(post);
    const before = fixture.ledger.get(post.item_hash);
    const events = eventsOf(fixture.ledger);
    const thief = makeAuthor();
    const part = { chain: 'ETH', sender: thief.signer.address, type: 'POST', item_hash: post.item_hash } as const;
    const stolen = { ...post, ...part, signature: await thief.signer.sign(part) };
    for (const copy of [{ ...post, signature: '0x00' }, stolen]) {
      expect((await fixture.ledger.accept(copy)).status).toBe('rejected');
    }
    expect(fixture.ledger.get(post.item_hash)).toEqual(before);
    expect(events).toEqual([]);
  });

  test('accept: keeps the copy whose time is nearest to the signed one, in whatever order they come', async () => {
    const post = await makeAuthor().post('x');
    const late = { ...post, time: post.time + 500, channel: 'REPLAY' };
    const later = { ...post, time: post.time + 900 };
    for (const order of [
      [post, late, later],
      [later, late, post],
      [late, post, later],
    ]) {
      await using fixture = await makeFixture();
      for (const copy of order) expect((await fixture.ledger.accept(copy)).status).toBe('processed');
      const found = fixture.ledger.get(post.item_hash);
      expect(found).toMatchObject({ message: { time: post.time } });
      expect(JSON.stringify(found)).not.toContain('REPLAY');
    }
  });

  test('subscribe: goes on, when another listener throws', async () => {
    await using fixture = await makeFixture();
    fixture.ledger.subscribe(() => {
      throw new Error('broken listener');
    });
    const events = eventsOf(fixture.ledger);
    const post = await makeAuthor().post('x');
    expect((await fixture.ledger.accept(post)).status).toBe('processed');
    expect(events).toHaveLength(1);
  });
}

function waiting(makeFixture: MakeLedger): void {
  test('accept: holds a STORE until its file comes, and settles it before the file is answered for', async () => {
    await using fixture = await makeFixture();
    const { ledger, content } = fixture;
    const events = eventsOf(ledger);
    const store = await makeAuthor().store(fileHashOf('file'));
    const { status, reason } = await ledger.accept(store);
    expect([status, reason?.code]).toEqual(['pending', NetworkCode.FILE_UNAVAILABLE]);
    expect(ledger.get(store.item_hash)).toMatchObject({
      status: 'pending',
      messages: [{ item_hash: store.item_hash }],
    });
    expect(ledger.store(store.item_hash)).toBeUndefined();
    await content.put(bytesOf('file'), { maxBytes: 9 });
    expect(ledger.store(store.item_hash)).toMatchObject({ fileHash: fileHashOf('file'), sizeBytes: 4 });
    expect(events).toEqual([`processed ${store.item_hash}`]);
  });

  test('accept: settles a program and a forget in their order, when the one file they wait for comes last', async () => {
    await using fixture = await makeFixture();
    const { ledger, content } = fixture;
    const author = makeAuthor();
    const store = await author.store(fileHashOf('file'));
    const program = await author.program({ code: store.item_hash, runtime: store.item_hash });
    const forget = await author.forget(program.item_hash);
    const codes = [];
    for (const message of [forget, program, store]) codes.push((await ledger.accept(message)).reason?.code);
    expect(codes).toEqual([
      NetworkCode.FORGET_TARGET_MISSING,
      NetworkCode.VM_VOLUME_MISSING,
      NetworkCode.FILE_UNAVAILABLE,
    ]);
    const events = eventsOf(ledger);
    await content.put(bytesOf('file'), { maxBytes: 9 });
    expect(events).toEqual([
      `processed ${store.item_hash}`,
      `processed ${program.item_hash}`,
      `processed ${forget.item_hash}`,
      `forgotten ${program.item_hash}`,
    ]);
    expect(ledger.programs()).toEqual([]);
  });
}

function filed(makeFixture: MakeLedger): void {
  test('accept: reads a content kept as a file, before or after the file came', async () => {
    await using fixture = await makeFixture();
    const { ledger, content } = fixture;
    const author = makeAuthor();
    const { item_content: text = '', item_type: _inline, ...rest } = await author.post('x'.repeat(1000));
    const message = { ...rest, item_type: 'storage' };
    expect((await ledger.accept(message)).reason?.code).toBe(NetworkCode.CONTENT_UNAVAILABLE);
    await content.put(bytesOf(text), { maxBytes: 9999 });
    expect(ledger.get(rest.item_hash)).toMatchObject({ status: 'processed', message: { content: JSON.parse(text) } });
    expect(await fixture.reopen().then((again) => again.get(rest.item_hash)?.status)).toBe('processed');
  });

  test('accept: rejects a content kept as a file, when it breaks its schema or belongs to another', async () => {
    await using fixture = await makeFixture();
    const { ledger, content } = fixture;
    const author = makeAuthor();
    const foreign = { address: makeAuthor().signer.address, type: 'test', content: 1 };
    for (const [contents, code] of [
      [{ type: 1 }, NetworkCode.FORMAT],
      [foreign, NetworkCode.PERMISSION],
    ] as const) {
      const { item_content: text = '', ...rest } = await author.sign('POST', contents);
      await ledger.accept({ ...rest, item_type: 'storage' });
      await content.put(bytesOf(text), { maxBytes: 9999 });
      expect(ledger.get(rest.item_hash)).toMatchObject({ status: 'rejected', error_code: code });
    }
  });

  test('reopen: settles what became possible while no process ran', async () => {
    await using fixture = await makeFixture();
    const store = await makeAuthor().store(fileHashOf('file'));
    await fixture.ledger.accept(store);
    fixture.ledger[Symbol.dispose]();
    await fixture.content.put(bytesOf('file'), { maxBytes: 9 });
    const reopened = await fixture.reopen();
    expect(reopened.get(store.item_hash)?.status).toBe('processed');
  });

  test('store: follows updates of the same owner only, the newest by its signed time', async () => {
    await using fixture = await makeFixture();
    const { ledger, content } = fixture;
    const [author, thief] = [makeAuthor(), makeAuthor()];
    for (const text of ['one', 'two', 'three']) await content.put(bytesOf(text), { maxBytes: 9 });
    const original = await author.store(fileHashOf('one'));
    const update = await author.store(fileHashOf('two'), { ref: original.item_hash });
    const newest = await author.store(fileHashOf('three'), { ref: original.item_hash });
    const stolen = await thief.store(fileHashOf('two'), { ref: original.item_hash, time: 1_900_000_000 });
    const ofUpdate = await author.store(fileHashOf('two'), { ref: update.item_hash });
    const answers = [];
    for (const message of [newest, original, update, stolen, ofUpdate]) {
      const { status, reason } = await ledger.accept(message);
      answers.push(reason?.code ?? status);
    }
    expect(answers).toEqual([
      200,
      'processed',
      'processed',
      NetworkCode.PERMISSION,
      NetworkCode.STORE_UPDATE_OF_UPDATE,
    ]);
    expect(ledger.store(original.item_hash)?.fileHash).toBe(fileHashOf('one'));
    expect(ledger.store(original.item_hash, { latest: true })?.fileHash).toBe(fileHashOf('three'));
    expect(ledger.storesOf(author.signer.address).map(({ itemHash }) => itemHash)).toEqual([
      newest.item_hash,
      update.item_hash,
      original.item_hash,
    ]);
  });
}
