import { describe, expect, test } from 'vitest';
import { bytesOf, fileHashOf, makeAuthor } from '../ledger/testing.ts';
import { startApi } from './testing.ts';

const PATH = '/api/v0/messages';
const success = { status: 'success', failed: [] };

describe('POST /api/v0/messages', () => {
  test('messages: answers 200, 202, 422 and 410 by what became of the message', async () => {
    await using fixture = await startApi();
    const { operator } = fixture;
    const post = await operator.post('x');
    const pending = await operator.store(fileHashOf('later'));
    const forged = { ...(await operator.post('y')), signature: '0x00' };
    const forget = await operator.forget(post.item_hash);
    const answers = [];
    for (const message of [post, post, pending, forged, forget, post]) {
      const { status, json } = await fixture.call('POST', PATH, { body: { sync: false, message } });
      answers.push([status, json]);
    }
    const processed = [200, { publication_status: success, message_status: 'processed' }];
    expect(answers).toEqual([
      processed,
      processed,
      [
        202,
        {
          publication_status: success,
          message_status: 'pending',
          error_code: 4,
          details: { errors: [expect.any(String)] },
        },
      ],
      [
        422,
        {
          publication_status: success,
          message_status: 'rejected',
          error_code: 1,
          details: { errors: [expect.any(String)] },
        },
      ],
      processed,
      [
        410,
        {
          publication_status: success,
          message_status: 'forgotten',
          error_code: 504,
          details: { errors: [expect.any(String)] },
        },
      ],
    ]);
  });

  test('messages: waits with sync until the message is in force', async () => {
    await using fixture = await startApi();
    const store = await fixture.operator.store(fileHashOf('text'));
    const accepted = Promise.withResolvers<void>();
    const accept = fixture.ledger.accept.bind(fixture.ledger);
    fixture.ledger.accept = async (message) => {
      const answer = await accept(message);
      accepted.resolve();
      return answer;
    };
    const waiting = fixture.call('POST', PATH, { body: { sync: true, message: store } });
    await accepted.promise;
    await fixture.content.put(bytesOf('text'), { maxBytes: 9 });
    expect(await waiting).toMatchObject({ status: 200, json: { message_status: 'processed' } });
  });

  test('messages: answers 202 with sync, when the wait is over', async () => {
    await using fixture = await startApi({ limits: { syncMs: 20 } });
    const store = await fixture.operator.store(fileHashOf('never'));
    const answer = await fixture.call('POST', PATH, { body: { sync: true, message: store } });
    expect(answer).toMatchObject({ status: 202, json: { message_status: 'pending' } });
  });

  test('messages: makes no record of what it refuses', async () => {
    await using fixture = await startApi();
    const stranger = await makeAuthor().post('x');
    const post = await fixture.operator.post('x');
    const other = 'b'.repeat(64);
    const bodies = [
      [{ message: stranger }, 403, 'PUBLISH_FORBIDDEN'],
      [{ message: { ...post, item_hash: other } }, 422, 'MESSAGE_MALFORMED'],
      [{ message: { ...post, type: 'NOTE' } }, 422, 'MESSAGE_MALFORMED'],
      [{ message: 'text' }, 422, 'API_BODY_UNREADABLE'],
      [{}, 422, 'API_BODY_UNREADABLE'],
    ] as const;
    for (const [body, status, code] of bodies) {
      const answer = await fixture.call('POST', PATH, { body });
      expect([answer.status, answer.json]).toEqual([status, expect.objectContaining({ code, status })]);
    }
    const headers = { 'content-type': 'application/json' };
    const broken = await fixture.call('POST', PATH, { headers, body: '{"message":' });
    expect(broken.json).toMatchObject({ code: 'API_BODY_UNREADABLE', status: 422 });
    const long = await fixture.call('POST', PATH, { headers, body: `"${'x'.repeat(1_100_000)}"` });
    expect(long.json).toMatchObject({ code: 'API_BODY_TOO_LARGE', status: 413 });
    expect(long.headers.connection).not.toBe('close');
    for (const { item_hash } of [stranger, post, { item_hash: other }]) {
      expect(fixture.ledger.get(item_hash)).toBeUndefined();
    }
    expect(fixture.failures).toEqual([]);
  });
});

describe('GET /api/v0/messages/{hash}', () => {
  test('messages: tells each state in the envelope of the network', async () => {
    await using fixture = await startApi();
    const { operator } = fixture;
    const post = await operator.post('x');
    const pending = await operator.store(fileHashOf('later'));
    const gone = await operator.post('gone');
    const forget = await operator.forget(gone.item_hash);
    for (const message of [post, pending, gone, forget]) await fixture.ledger.accept(message);
    const get = async (hash: string) => (await fixture.call('GET', `${PATH}/${hash}?hashes[]=${hash}`)).json;
    const iso = expect.stringMatching(/Z$/);
    expect(await get(post.item_hash)).toMatchObject({
      status: 'processed',
      item_hash: post.item_hash,
      reception_time: iso,
      message: { item_content: post.item_content, time: post.time, content: { content: 'x' }, confirmed: false },
    });
    expect(await get(pending.item_hash)).toMatchObject({
      status: 'pending',
      messages: [{ item_hash: pending.item_hash, time: new Date(pending.time * 1000).toISOString() }],
      error_code: 4,
    });
    expect(await get(gone.item_hash)).toMatchObject({ status: 'forgotten', forgotten_by: [forget.item_hash] });
    expect((await fixture.call('GET', `${PATH}/${post.item_hash}/status`)).json).toEqual({
      status: 'processed',
      item_hash: post.item_hash,
      reception_time: iso,
    });
  });

  test('messages: tells the content of what is in force, and of a post what it says', async () => {
    await using fixture = await startApi();
    const { operator, ledger } = fixture;
    const [text, nothing] = [await operator.post('x'), await operator.sign('POST', { type: 't' })];
    const aggregate = await operator.sign('AGGREGATE', { key: 'k', content: { a: 1 } });
    const pending = await operator.store(fileHashOf('later'));
    for (const message of [text, nothing, aggregate, pending]) await ledger.accept(message);
    const get = async (hash: string) => await fixture.call('GET', `${PATH}/${hash}/content`);
    expect(await get(text.item_hash)).toMatchObject({ status: 200, json: 'x' });
    expect(await get(nothing.item_hash)).toMatchObject({ status: 200, json: null });
    expect(await get(aggregate.item_hash)).toMatchObject({ status: 200, json: { key: 'k', content: { a: 1 } } });
    expect(await get(pending.item_hash)).toMatchObject({ status: 422, json: { code: 'MESSAGE_NOT_IN_FORCE' } });
  });

  test.each(['', '/status', '/content'])(
    'messages: answers 404 to an unknown and 400 to a malformed hash, under %j',
    async (suffix) => {
      await using fixture = await startApi();
      const unknown = await fixture.call('GET', `${PATH}/${'a'.repeat(64)}${suffix}`);
      expect(unknown).toMatchObject({ status: 404, json: { code: 'MESSAGE_UNKNOWN' } });
      for (const hash of ['abc', 'A'.repeat(64), `bafk${'a'.repeat(55)}`, '..%2f..%2fetc']) {
        expect(await fixture.call('GET', `${PATH}/${hash}${suffix}`)).toMatchObject({
          status: 400,
          json: { code: 'HASH_MALFORMED' },
        });
      }
    },
  );
});
