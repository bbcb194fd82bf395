import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { makeAuthor } from '../../ledger/testing.ts';
import { type ApiFixture, listenTo, startApi } from '../testing.ts';

const MESSAGES = '/api/ws0/messages';
const urlOf = ({ socketPath }: ApiFixture, path: string) => `ws+unix://${socketPath}:${path}`;

/** The status that a handshake is refused with. */
async function refusal(fixture: ApiFixture, path: string): Promise<number> {
  const client = new WebSocket(urlOf(fixture, path));
  client.on('error', () => {});
  const [, response] = await once(client, 'unexpected-response');
  client.terminate();
  return response.statusCode;
}

test('WebSocket: sends the history from the oldest on, and then each message that comes into force', async () => {
  const known: string[] = [];
  await using fixture = await startApi({ recent: (_wanted, { limit }) => known.toReversed().slice(0, limit) });
  const { operator, ledger } = fixture;
  for (const text of ['a', 'b', 'c']) {
    const post = await operator.post(text);
    await ledger.accept(post);
    known.push(post.item_hash);
  }
  using listener = await listenTo(urlOf(fixture, `${MESSAGES}?history=2`));
  expect([await listener.next(), await listener.next()]).toMatchObject([
    { content: { content: 'b' } },
    { content: { content: 'c' } },
  ]);
  const live = await operator.post('d');
  await ledger.accept(live);
  expect(await listener.next()).toEqual({
    ...live,
    channel: null,
    content: JSON.parse(live.item_content ?? ''),
    confirmed: false,
    confirmations: [],
  });
  listener.client.close(1000, 'Work complete');
  expect(await listener.closed).toBe(1000);
});

test('WebSocket: tells nobody of what is pending, rejected or forgotten', async () => {
  await using fixture = await startApi();
  const { operator, ledger } = fixture;
  using listener = await listenTo(urlOf(fixture, MESSAGES));
  const post = await operator.post('x');
  const last = await operator.post('last');
  await ledger.accept(await operator.store('a'.repeat(64)));
  await ledger.accept({ ...(await operator.post('forged')), signature: '0x00' });
  await ledger.accept(post);
  const forget = await operator.forget(post.item_hash);
  await ledger.accept(forget);
  await ledger.accept(last);
  const told = [await listener.next(), await listener.next(), await listener.next()];
  expect(told.map(({ item_hash }) => item_hash)).toEqual([post.item_hash, forget.item_hash, last.item_hash]);
});

test('WebSocket: tells of a message once, when it comes into force while the history is sent', async () => {
  const known: string[] = [];
  await using fixture = await startApi({ recent: () => known.toReversed() });
  const { operator, ledger } = fixture;
  const [first, second, third] = [await operator.post('1'), await operator.post('2'), await operator.post('3')];
  await ledger.accept(first);
  // As a list tells it, which is read before the event has come.
  known.push(first.item_hash, second.item_hash);
  ledger.subscribe(() => {});
  const opening = listenTo(urlOf(fixture, MESSAGES));
  await ledger.accept(second);
  using listener = await opening;
  await ledger.accept(third);
  const told = [await listener.next(), await listener.next(), await listener.next()];
  expect(told.map(({ item_hash }) => item_hash)).toEqual([first, second, third].map(({ item_hash }) => item_hash));
});

test('WebSocket: tells each client of what its filters let through', async () => {
  await using fixture = await startApi({ allow: 'any' });
  const { operator, ledger } = fixture;
  const other = makeAuthor();
  const aggregate = await operator.sign('AGGREGATE', { key: 'profile', content: { name: 'a' } });
  const tagged = await operator.sign('POST', { type: 'blog', content: { tags: ['x', 'y'] }, ref: 'a-ref' });
  const channelled = { ...(await operator.post('c')), channel: 'TEST' };
  const foreign = await other.post('f');
  const all = [aggregate, tagged, channelled, foreign];
  const lower = operator.signer.address.toLowerCase();
  const cases: [string, unknown[]][] = [
    ['', all],
    ['msgType=AGGREGATE', [aggregate]],
    ['msgTypes=AGGREGATE,POST', all],
    ['contentKeys=profile', [aggregate]],
    ['contentTypes=blog', [tagged]],
    ['tags=z,y', [tagged]],
    ['refs=a-ref', [tagged]],
    ['channels[]=OTHER&channels[]=TEST', [channelled]],
    [`addresses=${other.signer.address}`, [foreign]],
    [`owners=${lower}`, [aggregate, tagged, channelled]],
    [`hashes=${foreign.item_hash}`, [foreign]],
    [`startDate=${tagged.time}&endDate=${channelled.time}`, [tagged]],
    ['chains=SOL', []],
    ['msgStatuses=pending', []],
    ['startBlock=1', []],
    ['paymentTypes=hold', []],
  ];
  const clients = await Promise.all(
    cases.map(async ([query]) => await listenTo(urlOf(fixture, `${MESSAGES}?${query}&history=0`))),
  );
  for (const message of all) await ledger.accept(message);
  const last = await operator.sign('POST', { type: 'blog', content: {} });
  for (const [index, [query, wanted]] of cases.entries()) {
    const client = clients[index];
    const told = [];
    for (let count = 0; count < wanted.length; count++) told.push(await client?.next());
    expect([query, told.map((one) => one?.item_hash)]).toEqual([
      query,
      wanted.map((one) => (one as typeof last).item_hash),
    ]);
  }
  // What does not match never comes: the next one is of a later message.
  await ledger.accept(last);
  expect(await clients[4]?.next()).toMatchObject({ item_hash: last.item_hash });
  for (const client of clients) client[Symbol.dispose]();
});

test('WebSocket: leaves the content out, when it is not wanted', async () => {
  await using fixture = await startApi();
  using listener = await listenTo(urlOf(fixture, `${MESSAGES}?excludeContent=true`));
  const post = await fixture.operator.post('x');
  await fixture.ledger.accept(post);
  const told = await listener.next();
  expect(told.item_hash).toBe(post.item_hash);
  expect(told).not.toHaveProperty('content');
});

test.each([
  ['/api/ws0/nothing', 404],
  ['/api/v0/messages', 404],
  [`${MESSAGES}?history=200`, 422],
  [`${MESSAGES}?msgType=NOTE`, 422],
  [`${MESSAGES}?hashes=x`, 422],
  [`${MESSAGES}?startDate=yesterday`, 422],
  [`${MESSAGES}?startDate=2&endDate=1`, 422],
  [`${MESSAGES}?msgStatuses=processed,forgotten`, 422],
])('WebSocket: refuses %s with %i, before it switches', async (path, status) => {
  await using fixture = await startApi();
  expect(await refusal(fixture, path)).toBe(status);
});

test.each(['sec-websocket-key: short', 'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 7'])(
  'WebSocket: refuses a handshake with %j with 400',
  async (lines) => {
    await using fixture = await startApi();
    const socket = connect(fixture.socketPath);
    socket.write(
      `GET ${MESSAGES} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n${lines}\r\n\r\n`,
    );
    const [answer] = await once(socket, 'data');
    socket.destroy();
    expect(String(answer)).toMatch(/^HTTP\/1\.1 400 REQUEST_MALFORMED/);
  },
);

test.each([MESSAGES, '/api/ws0/status'])('WebSocket: %s closes one too many with 1013', async (path) => {
  await using fixture = await startApi({ webSocketLimits: { subscribers: 1 } });
  using first = await listenTo(urlOf(fixture, path));
  using second = await listenTo(urlOf(fixture, path));
  expect(await second.closed).toBe(1013);
  first.client.close();
  await first.closed;
  using third = await listenTo(urlOf(fixture, path));
  expect(third.client.readyState).toBe(WebSocket.OPEN);
});

test('WebSocket: cuts a client off that takes nothing, and goes on telling the others', async () => {
  await using fixture = await startApi({ webSocketLimits: { untakenBytes: 64 * 1024, coalesceMs: 0 } });
  const { operator, ledger } = fixture;
  const slow = await listenTo(urlOf(fixture, MESSAGES));
  using quick = await listenTo(urlOf(fixture, MESSAGES));
  slow.client.pause();
  const cut = once(slow.client, 'close');
  const text = 'x'.repeat(100_000);
  for (let sent = 0; sent < 20; sent++) {
    await ledger.accept(await operator.post(text));
    expect(await quick.next()).toMatchObject({ content: { content: text } });
  }
  slow.client.resume();
  await cut;
});

test.each([MESSAGES, '/api/ws0/status'])('WebSocket: %s closes with 1001, when the node goes', async (path) => {
  await using fixture = await startApi();
  using listener = await listenTo(urlOf(fixture, path));
  fixture.leave();
  expect(await listener.closed).toBe(1001);
});

test('WebSocket: closes one that sends what is too long, and answers pings', async () => {
  await using fixture = await startApi();
  using listener = await listenTo(urlOf(fixture, MESSAGES));
  const pong = once(listener.client, 'pong');
  listener.client.ping('still there?');
  expect(String((await pong)[0])).toBe('still there?');
  listener.client.send('anything');
  listener.client.send('x'.repeat(5000));
  expect(await listener.closed).toBe(1009);
});

test('WebSocket: tells the status at once, and again when it has changed', async () => {
  await using fixture = await startApi({ webSocketLimits: { statusMs: 0 } });
  using listener = await listenTo(urlOf(fixture, '/api/ws0/status'));
  const first = await listener.next();
  expect(first).toMatchObject({
    pyaleph_build_info: { version: 'vmlet-1.2.3' },
    pyaleph_status_sync_messages_total: 0,
  });
  await fixture.ledger.accept(await fixture.operator.post('x'));
  expect(await listener.next()).toMatchObject({ pyaleph_status_sync_messages_total: 1 });
});
