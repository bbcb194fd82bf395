import { once } from 'node:events';
import { mkdtempDisposable, stat, writeFile } from 'node:fs/promises';
import { connect, createServer, type NetConnectOpts, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { WIRE_KINDS, WIRE_TYPES } from '@vmlet/guest-protocol/wire';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Guest } from './guest.ts';
import { type Build, build } from './harness.ts';

const { OPEN, OPENED, REFUSED, DATA, END, RESET } = WIRE_TYPES;

let built: Build;
beforeAll(() => {
  built = build();
});
afterAll(() => built[Symbol.dispose]());

/** A port of the loopback that nobody listens on, on neither family. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '::');
  await once(server, 'listening');
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

function payloadOf(port: number, path: string): Buffer {
  const head = Buffer.alloc(2);
  head.writeUInt16BE(port);
  return Buffer.concat([head, Buffer.from(path)]);
}

/** A guest, and the doors that its programs find once the host has opened a stream for calls. */
async function startGuest() {
  await using stack = new AsyncDisposableStack();
  const folder = stack.adopt(await mkdtempDisposable(join(tmpdir(), 'vmlet-test-')), (one) => one.remove());
  const guest = stack.use(new Guest(built.wire));
  const path = join(folder.path, 'door');
  const port = await freePort();
  const programs = new Set<Socket>();
  stack.defer(() => {
    for (const program of programs) program.destroy();
  });
  const owned = stack.move();
  return {
    ...{ guest, path, port },
    /** The host opens one more stream. */
    offer: (stream: number) => guest.say(OPEN, { stream, argument: WIRE_KINDS.CALL, payload: payloadOf(port, path) }),
    /** A program calls. */
    call: (to: NetConnectOpts) => {
      const program = connect({ ...to, allowHalfOpen: true }).on('error', () => {});
      programs.add(program);
      return program;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Waits until the doors are open: the guest answers frames in order. */
async function settled(guest: Guest, stream: number): Promise<void> {
  guest.say(OPEN, { stream, argument: 200 });
  expect(await guest.next()).toMatchObject({ type: REFUSED, stream });
}

test('calls: a stream of the host waits for a program at either door, and carries what it says both ways', async () => {
  await using it = await startGuest();
  for (const stream of [1, 3, 5]) it.offer(stream);
  await settled(it.guest, 7);
  expect((await stat(it.path)).mode & 0o777).toBe(0o666);
  const doors: NetConnectOpts[] = [
    { path: it.path },
    { port: it.port, host: '127.0.0.1' },
    { port: it.port, host: '::1' },
  ];
  for (const door of doors) {
    const program = it.call(door);
    const { type, stream } = await it.guest.next();
    expect(type).toBe(OPENED);
    program.end('question');
    expect((await it.guest.bytes(8, { stream })).toString()).toBe('question');
    expect(await it.guest.next()).toMatchObject({ type: END, stream });
    it.guest.say(DATA, { stream, payload: Buffer.from('answer') });
    it.guest.say(END, { stream });
    expect(await text(program)).toBe('answer');
  }
});

test('calls: programs stand in line while the host has opened no stream, and are let in one by one', async () => {
  await using it = await startGuest();
  it.offer(1);
  await settled(it.guest, 3);
  const programs = Array.from({ length: 3 }, () => it.call({ path: it.path }));
  await Promise.all(programs.map((program) => once(program, 'connect')));
  expect(await it.guest.next()).toMatchObject({ type: OPENED, stream: 1 });
  await settled(it.guest, 5);
  it.offer(7);
  expect(await it.guest.next()).toMatchObject({ type: OPENED, stream: 7 });
  it.offer(9);
  expect(await it.guest.next()).toMatchObject({ type: OPENED, stream: 9 });
});

test('calls: in a clone, who stands in line is let in by its own host, which begins with stream 1', async () => {
  await using it = await startGuest();
  it.offer(1);
  it.offer(3);
  await settled(it.guest, 5);
  const first = it.call({ path: it.path });
  expect(await it.guest.next()).toMatchObject({ type: OPENED, stream: 1 });
  // What a host does before it saves a machine.
  const cut = once(first, 'close');
  for (const stream of [1, 3]) it.guest.say(RESET, { stream });
  it.guest.say(OPEN, { stream: 7, argument: WIRE_KINDS.ANEW });
  expect(await it.guest.next()).toMatchObject({ type: RESET, stream: 7, argument: 0 });
  first.resume().end();
  await cut;
  await once(it.call({ path: it.path }), 'connect');
  it.offer(1);
  expect(await it.guest.next()).toMatchObject({ type: OPENED, stream: 1 });
});

test('calls: a door that is a file of the image is made anew, and a port that a program has taken is done without', async () => {
  await using it = await startGuest();
  await writeFile(it.path, 'a file of the image');
  const server = createServer().listen(it.port, '127.0.0.1');
  await once(server, 'listening');
  it.offer(1);
  await settled(it.guest, 3);
  it.call({ path: it.path });
  expect(await it.guest.next()).toMatchObject({ type: OPENED, stream: 1 });
  await new Promise((resolve) => server.close(resolve));
});

test.each([
  ['no path', Buffer.from([15, 184])],
  ['a path that is too long', payloadOf(4024, `/${'x'.repeat(200)}`)],
  ['a path with a NUL', payloadOf(4024, '/tmp/a\0b')],
  ['nothing', Buffer.alloc(0)],
])('calls: a stream whose doors are %s is refused', async (_name, payload) => {
  await using guest = new Guest(built.wire);
  guest.say(OPEN, { argument: WIRE_KINDS.CALL, payload });
  expect(await guest.next()).toMatchObject({ type: REFUSED, stream: 1, argument: 22 });
});

test('calls: streams that wait do not hold up the end of the machine', async () => {
  await using it = await startGuest();
  it.offer(1);
  await settled(it.guest, 3);
  it.guest.terminate();
  expect(await it.guest.next()).toMatchObject({ type: RESET, stream: 1 });
  expect(await it.guest.exit).toEqual([0, null]);
});
