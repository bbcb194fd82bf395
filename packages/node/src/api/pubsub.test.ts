import { expect, test } from 'vitest';
import { startApi } from './testing.ts';

const TOPIC = 'ALEPH-TEST';

test.each(['ipfs', 'p2p'])('pubsub: %s takes a message as a text, or as it is', async (network) => {
  await using fixture = await startApi();
  const path = `/api/v0/${network}/pubsub/pub`;
  const [text, object] = [await fixture.operator.post('a'), await fixture.operator.post('b')];
  const answers = [
    await fixture.call('POST', path, { body: { topic: TOPIC, data: JSON.stringify(text) } }),
    await fixture.call('POST', path, { body: { topic: TOPIC, data: object } }),
  ];
  for (const answer of answers) expect(answer).toMatchObject({ status: 200, json: { status: 'success', failed: [] } });
  for (const { item_hash } of [text, object]) expect(fixture.ledger.get(item_hash)?.status).toBe('processed');
});

test('pubsub: refuses another topic, and what is no message', async () => {
  await using fixture = await startApi();
  const post = async (body: object) => {
    const { status, json } = await fixture.call('POST', '/api/v0/p2p/pubsub/pub', { body });
    return [status, (json as { code: string }).code];
  };
  const message = await fixture.operator.post('a');
  expect(await post({ topic: 'ALIVE', data: JSON.stringify(message) })).toEqual([403, 'TOPIC_FORBIDDEN']);
  expect(await post({ topic: TOPIC, data: '{' })).toEqual([422, 'API_BODY_UNREADABLE']);
  expect(await post({ topic: TOPIC })).toEqual([422, 'API_BODY_UNREADABLE']);
  expect(await post({ topic: TOPIC, data: 'null' })).toEqual([422, 'MESSAGE_MALFORMED']);
  const forged = { ...message, signature: '0x00' };
  expect(await post({ topic: TOPIC, data: JSON.stringify(forged) })).toEqual([422, 'MESSAGE_REJECTED']);
});
