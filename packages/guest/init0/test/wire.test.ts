import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import {
  creditPayload,
  encodeWireFrame,
  WIRE_KINDS,
  WIRE_LIMITS,
  WIRE_TYPES,
  WireDecoder,
  WireError,
  type WireFrame,
} from '@vmlet/guest-protocol/wire';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Guest } from './guest.ts';
import { type Build, build } from './harness.ts';

interface Vector {
  name: string;
  parts: { hex: string; times: number }[];
  frames: { type: number; argument: number; stream: number; payloadBytes: number }[];
  error: string | null;
}

const { OPEN, OPENED, REFUSED, DATA, WINDOW, END, RESET } = WIRE_TYPES;
const url = new URL('../../../guest-protocol/vectors/wire.json', import.meta.url);
const { vectors } = JSON.parse(readFileSync(url, 'utf8')) as { vectors: Vector[] };
const streamOf = ({ parts }: Vector) =>
  Buffer.concat(parts.map(({ hex, times }) => Buffer.alloc((hex.length / 2) * times, Buffer.from(hex, 'hex'))));

let built: Build;
beforeAll(() => {
  built = build();
});
afterAll(() => built[Symbol.dispose]());

/** What wire.h makes of each stream, as text: its frames, then the code of the breach. */
function runC(streams: readonly Buffer[]): string[] {
  const input = Buffer.concat(
    streams.flatMap((stream) => {
      const head = Buffer.alloc(4);
      head.writeUInt32BE(stream.length);
      return [head, stream];
    }),
  );
  const { stdout, stderr, status } = spawnSync(built.wire, ['frames'], { input, maxBuffer: 2 ** 28, encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout.trim().split('\n');
}

const textOf = (frames: readonly Vector['frames'][number][], error: string | null) =>
  `${frames.map((frame) => `${frame.type} ${frame.argument} ${frame.stream} ${frame.payloadBytes};`).join('')}${error ?? '-'}`;

function runTypeScript(stream: Buffer): string {
  const decoder = new WireDecoder();
  const sized = (frames: readonly WireFrame[]) => frames.map((one) => ({ ...one, payloadBytes: one.payload.length }));
  let frames: readonly WireFrame[] = [];
  try {
    frames = decoder.push(stream);
    decoder.end();
    return textOf(sized(frames), null);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return textOf(sized([...frames, ...error.decoded]), error.code);
  }
}

test('wire.h: gives the answer of every vector', () => {
  const answers = runC(vectors.map(streamOf));
  vectors.forEach((vector, index) => {
    expect(`${vector.name}: ${answers[index]}`).toBe(`${vector.name}: ${textOf(vector.frames, vector.error)}`);
  });
});

test('wire.h: agrees with TypeScript on 30000 mutated streams, seeded', () => {
  let seed = 0x9e3779b9;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  const seeds = vectors.map(streamOf).filter((stream) => stream.length > 0 && stream.length < 1024);
  const streams = Array.from({ length: 30_000 }, () => {
    const stream = Buffer.concat([seeds[random(seeds.length)]!, seeds[random(seeds.length)]!]);
    for (let change = random(4); change > 0; change -= 1) stream[random(stream.length)] = random(random(2) ? 256 : 9);
    return stream;
  });
  const answers = runC(streams);
  streams.forEach((stream, index) => {
    expect(`${stream.toString('hex')}: ${answers[index]}`).toBe(`${stream.toString('hex')}: ${runTypeScript(stream)}`);
  });
});

/** A program of the guest: a server on the loopback. */
async function listen(onSocket: (socket: Socket) => void, host = '127.0.0.1') {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket.on('error', () => {}));
    onSocket(socket);
  });
  server.listen(0, host);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const echo = (socket: Socket) => socket.pipe(socket);

describe('wire', () => {
  test.each(['127.0.0.1', '::1', '::'])(
    'wire: connects to a program that listens on %s, and copies both ways',
    async (host) => {
      await using program = await listen(echo, host);
      await using guest = new Guest(built.wire);
      guest.open(program.port);
      guest.say(DATA, { payload: Buffer.from('before it is open') });
      expect(await guest.next()).toMatchObject({ type: OPENED, stream: 1 });
      expect((await guest.bytes(17)).toString()).toBe('before it is open');
      guest.say(END);
      expect(await guest.next()).toMatchObject({ type: END, stream: 1 });
    },
  );

  test('wire: refuses a stream to a port where nobody listens, and one of a kind that it does not know', async () => {
    const { port } = await (async () => {
      await using program = await listen(echo);
      return program;
    })();
    await using guest = new Guest(built.wire);
    guest.open(port, 1);
    expect(await guest.next()).toMatchObject({ type: REFUSED, stream: 1, argument: 111 });
    guest.say(OPEN, { stream: 3, argument: 200 });
    expect(await guest.next()).toMatchObject({ type: REFUSED, stream: 3, argument: 93 });
  });

  test('wire: keeps a connection for the first stream of the next host, one that its program has not closed', async () => {
    const sockets: Socket[] = [];
    const kept = Promise.withResolvers<Socket>();
    await using program = await listen((socket) => {
      sockets.push(socket.on('data', (bytes) => socket.write(bytes)));
      if (sockets.length === 2) kept.resolve(socket);
    });
    await using guest = new Guest(built.wire);
    const park = async (stream: number) => {
      const payload = Buffer.alloc(2);
      payload.writeUInt16BE(program.port);
      guest.say(OPEN, { stream, argument: WIRE_KINDS.PARK, payload });
      expect(await guest.next()).toMatchObject({ type: RESET, stream, argument: 0 });
    };
    await park(1);
    guest.open(program.port, 1);
    expect(await guest.next()).toMatchObject({ type: OPENED, stream: 1 });
    guest.say(DATA, { payload: Buffer.from('over the one that was kept') });
    expect((await guest.bytes(26)).toString()).toBe('over the one that was kept');
    expect(sockets).toHaveLength(1);

    await park(3);
    const second = await kept.promise;
    const closed = once(second, 'close');
    second.destroy();
    await closed;
    guest.open(program.port, 1);
    expect(await guest.next()).toMatchObject({ type: OPENED, stream: 1 });
    guest.say(DATA, { payload: Buffer.from('over a new one') });
    expect((await guest.bytes(14)).toString()).toBe('over a new one');
    expect(sockets).toHaveLength(3);
  });

  test('wire: serves others, while a program does not read and the host does not either', async () => {
    await using deaf = await listen((socket) => socket.pause());
    const chunk = Buffer.alloc(65_536, 'x');
    await using talker = await listen((socket) => {
      const more = () => {
        while (socket.write(chunk));
      };
      socket.on('drain', more);
      more();
    });
    await using other = await listen(echo);
    await using guest = new Guest(built.wire);
    guest.open(deaf.port, 3);
    guest.open(talker.port, 5);
    const payload = Buffer.alloc(WIRE_LIMITS.windowBytes / 8, 'a');
    for (let sent = 0; sent < WIRE_LIMITS.windowBytes; sent += payload.length) guest.say(DATA, { stream: 3, payload });
    let fromTalker = 0;
    const see = (frame: WireFrame) => {
      if (frame.type === DATA && frame.stream === 5) fromTalker += frame.payload.length;
    };
    // Not before the talker has filled its window.
    while (fromTalker < WIRE_LIMITS.windowBytes) see(await guest.next());
    guest.open(other.port, 7);
    guest.say(DATA, { stream: 7, payload: Buffer.alloc(30_000, 'b') });
    expect((await guest.bytes(30_000, { stream: 7, see })).equals(Buffer.alloc(30_000, 'b'))).toBe(true);
    expect(fromTalker).toBe(WIRE_LIMITS.windowBytes);
  });

  test('wire: carries 64 streams at the same time, each whole and in order', async () => {
    await using program = await listen(echo);
    await using guest = new Guest(built.wire);
    const ids = Array.from({ length: 64 }, (_, index) => 2 * index + 1);
    const texts = new Map(ids.map((id) => [id, Buffer.alloc(50_000, `${id}|`)]));
    for (const id of ids) guest.open(program.port, id);
    for (const id of ids) guest.say(DATA, { stream: id, payload: texts.get(id)!.subarray(0, 30_000) });
    for (const id of ids) guest.say(DATA, { stream: id, payload: texts.get(id)!.subarray(30_000) });
    for (const id of ids) guest.say(END, { stream: id });
    const got = new Map<number, Buffer[]>(ids.map((id) => [id, []]));
    for (let open = ids.length; open > 0; ) {
      const frame = await guest.next();
      if (frame.type === DATA) got.get(frame.stream)?.push(frame.payload);
      if (frame.type === END) open -= 1;
    }
    for (const id of ids) expect(Buffer.concat(got.get(id)!).equals(texts.get(id)!)).toBe(true);
  });

  test('wire: passes on that a program broke off, or that the host did', async () => {
    const seen: string[] = [];
    await using breaking = await listen((socket) => socket.once('data', () => socket.resetAndDestroy()));
    const closed = Promise.withResolvers<void>();
    await using program = await listen((socket) => socket.resume().once('end', () => closed.resolve()));
    await using guest = new Guest(built.wire);
    guest.open(breaking.port, 1);
    seen.push(String((await guest.next()).type));
    guest.say(DATA, { payload: Buffer.from('x') });
    expect(await guest.next()).toMatchObject({ type: RESET, stream: 1, argument: 104 });
    guest.open(program.port, 3);
    await guest.next();
    guest.say(RESET, { stream: 3 });
    await closed.promise;
    // Sent before the host knew: no breach.
    guest.say(DATA, { stream: 1, payload: Buffer.from('late') });
    guest.open(program.port, 5);
    expect(await guest.next()).toMatchObject({ type: OPENED, stream: 5 });
  });

  test('wire: reads on from a program that takes no more', async () => {
    await using program = await listen((socket) => {
      socket.once('data', () => {
        socket.end('too much');
        socket.pause();
      });
    });
    await using guest = new Guest(built.wire);
    guest.open(program.port);
    guest.say(DATA, { payload: Buffer.alloc(10_000) });
    await guest.next();
    expect((await guest.bytes(8)).toString()).toBe('too much');
    expect(await guest.next()).toMatchObject({ type: END });
  });

  test('wire: ends on SIGTERM, when what the program said last has been sent', async () => {
    const sockets: Socket[] = [];
    await using program = await listen((socket) => void sockets.push(socket));
    await using guest = new Guest(built.wire);
    guest.open(program.port);
    await guest.next();
    guest.terminate();
    sockets[0]?.end('last words');
    expect((await guest.bytes(10)).toString()).toBe('last words');
    expect(await guest.next()).toMatchObject({ type: END });
    expect(await guest.exit).toEqual([0, null]);
  });

  test('wire: ends with words, when the host breaks the protocol', async () => {
    for (const vector of vectors.filter(({ error }) => error && error !== 'WIRE_TRUNCATED' && error !== 'WIRE_TYPE')) {
      await using guest = new Guest(built.wire);
      guest.raw(streamOf(vector));
      expect(await guest.exit).toEqual([76, null]);
      expect(guest.stderr).toBe(`wire: Cannot go on: ${vector.error}\n`);
    }
  });

  test('wire: takes 30000 mutated frames, or ends with words, seeded', async () => {
    let seed = 0x1b873593;
    const random = (below: number) => {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((seed / 2 ** 32) * below);
    };
    await using program = await listen(echo);
    const port = Buffer.alloc(2);
    port.writeUInt16BE(program.port);
    const frames = [
      { type: DATA, payload: Buffer.alloc(10) },
      { type: DATA, payload: Buffer.alloc(30_000) },
      { type: WINDOW, payload: creditPayload(1 + random(20_000)) },
      { type: END },
      { type: RESET },
    ];
    const exits = new Map<unknown, number>();
    for (let round = 0; round < 100; round += 1) {
      await using guest = new Guest(built.wire);
      guest.open(program.port);
      await guest.next();
      let last = 1;
      const stream = Array.from({ length: 300 }, () => {
        const opens = random(4) === 0;
        if (opens) last += 2;
        const id = opens ? last : Math.max(1, last - 2 * random(8));
        const said = opens ? { type: OPEN, payload: port } : (frames[random(frames.length)] ?? { type: END });
        const frame = encodeWireFrame({ argument: opens ? 1 : 0, stream: id, ...said });
        if (random(100) === 0) frame[random(frame.length)] = random(256);
        return frame;
      });
      guest.raw(Buffer.concat(stream));
      guest.terminate();
      for (let left = true; left; ) left = await guest.next().then(Boolean, () => false);
      const [code] = await guest.exit;
      exits.set(code, (exits.get(code) ?? 0) + 1);
    }
    expect([...exits.keys()].every((code) => code === 0 || code === 76)).toBe(true);
    expect(exits.get(76)).toBeGreaterThan(20);
  });
});
