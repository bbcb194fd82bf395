import { once } from 'node:events';
import { Duplex } from 'node:stream';
import {
  creditPayload,
  encodeWireFrame,
  WIRE_LIMITS,
  WIRE_TYPES,
  WireDecoder,
  type WireFrame,
  type WireType,
} from '@vmlet/guest-protocol/wire';
import { describe, expect, test } from 'vitest';
import { Wire } from './wire.ts';

const { OPEN, OPENED, REFUSED, DATA, WINDOW, END, RESET } = WIRE_TYPES;
const { payloadBytes, windowBytes } = WIRE_LIMITS;

/** Lets everything happen that only waits for its turn. */
const turn = () => new Promise<void>((resolve) => void setImmediate(resolve));

/** The port of a guest that the test plays: what the host says is decoded, what the guest says is the test's. */
class Port extends Duplex {
  readonly heard: WireFrame[] = [];
  readonly #decoder = new WireDecoder();
  override _read(): void {}
  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    this.heard.push(...this.#decoder.push(chunk));
    callback();
  }
}

interface Said {
  type: WireType;
  stream?: number;
  argument?: number;
  payload?: Buffer;
}
const bytesOf = ({ type, stream = 1, argument = 0, payload }: Said) =>
  encodeWireFrame({ type, stream, argument, ...(payload ? { payload } : {}) });

/** A wire whose guest is the test. */
function startWire() {
  const port = new Port();
  const wrongs: string[] = [];
  const wire = new Wire(port, { onMisbehaved: (found) => wrongs.push(found) });
  const say = async (...frames: (Said | Buffer)[]) => {
    port.push(Buffer.concat(frames.map((frame) => (Buffer.isBuffer(frame) ? frame : bytesOf(frame)))));
    await turn();
  };
  const open = async (stream = 1) => {
    const opening = wire.connect(8080);
    await say({ type: OPENED, stream });
    return opening;
  };
  return { port, wire, wrongs, say, open };
}

describe('Wire', () => {
  test('wire: opens a stream to a port, and takes its number from the odd ones', async () => {
    const it = startWire();
    await it.open(1);
    await it.open(3);
    expect(it.port.heard).toMatchObject([
      { type: OPEN, argument: 1, stream: 1, payload: Buffer.from([0x1f, 0x90]) },
      { type: OPEN, argument: 1, stream: 3 },
    ]);
  });

  test('wire: has a connection kept, and says why it was not', async () => {
    const it = startWire();
    const parked = it.wire.park(8080);
    await it.say({ type: RESET });
    await parked;
    const refused = expect(it.wire.park(8080)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await it.say({ type: REFUSED, stream: 3, argument: 111 });
    await refused;
    expect(it.port.heard).toMatchObject([
      { type: OPEN, argument: 4, payload: Buffer.from([0x1f, 0x90]) },
      { type: OPEN },
    ]);
    expect(it.wire.size).toBe(0);
  });

  test('wire: says why a stream was not opened, and forgets it', async () => {
    const it = startWire();
    const refused = expect(it.wire.connect(8080)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await it.say({ type: REFUSED, argument: 111 });
    await refused;
    const controller = new AbortController();
    const given = expect(it.wire.connect(8080, controller.signal)).rejects.toThrow('enough');
    controller.abort(new Error('enough'));
    await given;
    await expect(it.wire.connect(8080, AbortSignal.abort(new Error('before')))).rejects.toThrow('before');
    await turn();
    expect(it.port.heard.map(({ type, stream }) => [type, stream])).toEqual([
      [OPEN, 1],
      [OPEN, 3],
      [RESET, 3],
    ]);
    expect(it.wire.size).toBe(0);
  });

  test('wire: refuses more streams than the guest takes', async () => {
    const it = startWire();
    const all = Array.from({ length: WIRE_LIMITS.streams }, () => it.wire.connect(1));
    await expect(it.wire.connect(1)).rejects.toThrow('512 are open');
    it.wire.close(new Error('over'));
    const reasons = await Promise.allSettled(all);
    expect(reasons.every((one) => one.status === 'rejected' && one.reason.message === 'over')).toBe(true);
  });

  test('wire: gives what the guest said before it broke a stream off, and then breaks', async () => {
    const it = startWire();
    const stream = await it.open();
    const answer = Buffer.alloc(60_000, 'a');
    const frames = [answer.subarray(0, payloadBytes), answer.subarray(payloadBytes)].filter((part) => part.length > 0);
    await it.say(...frames.map((payload) => ({ type: DATA, payload })), { type: RESET, argument: 104 });
    const read: Buffer[] = [];
    const failed = once(stream, 'error');
    stream.on('data', (chunk: Buffer) => read.push(chunk));
    expect(await failed).toMatchObject([{ code: 'ECONNRESET' }]);
    expect(Buffer.concat(read).equals(answer)).toBe(true);
  });

  test('wire: sends no more than the window, and goes on when the guest has taken it', async () => {
    const it = startWire();
    const stream = await it.open();
    stream.write(Buffer.alloc(windowBytes + 10, 'a'));
    await turn();
    const sent = () => it.port.heard.filter(({ type }) => type === DATA).map(({ payload }) => payload.length);
    expect(sent().reduce((sum, bytes) => sum + bytes, 0)).toBe(windowBytes);
    expect(Math.max(...sent())).toBe(payloadBytes);
    expect(stream.writableNeedDrain).toBe(true);
    await it.say({ type: WINDOW, payload: creditPayload(5) }, { type: WINDOW, payload: creditPayload(5) });
    expect(sent().slice(-2)).toEqual([5, 5]);
    expect(stream.writableNeedDrain).toBe(false);
  });

  test('wire: sends what is written together in one frame', async () => {
    const it = startWire();
    const stream = await it.open();
    stream.cork();
    stream.write('GET / HTTP/1.1\r\n');
    stream.write('\r\n');
    stream.uncork();
    await turn();
    expect(it.port.heard.slice(1).map(({ payload }) => payload.toString())).toEqual(['GET / HTTP/1.1\r\n\r\n']);
  });

  test('wire: gives the window back as bytes are read, and not before', async () => {
    const it = startWire();
    const stream = await it.open();
    const part = Buffer.alloc(windowBytes / 8, 'b');
    for (let sent = 0; sent < windowBytes; sent += part.length) await it.say({ type: DATA, payload: part });
    const credit = () =>
      it.port.heard.filter(({ type }) => type === WINDOW).reduce((sum, { payload }) => sum + payload.readUInt32BE(), 0);
    // Nobody reads: what is read ahead is less than what makes it worth a frame.
    expect([credit(), it.wrongs]).toEqual([0, []]);
    let read = 0;
    stream.on('data', (chunk: Buffer) => {
      read += chunk.length;
    });
    const ended = once(stream, 'end');
    await it.say({ type: END });
    await ended;
    expect(read).toBe(windowBytes);
    expect(it.wrongs).toEqual([]);
  });

  test('wire: keeps what many small frames bring in little memory', async () => {
    const it = startWire();
    const stream = await it.open();
    const one = bytesOf({ type: DATA, payload: Buffer.from('c') });
    const many = 4096;
    for (let sent = 0; sent < windowBytes; sent += many) await it.say(Buffer.concat(Array<Buffer>(many).fill(one)));
    await it.say({ type: END });
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    expect(Buffer.concat(chunks).equals(Buffer.alloc(windowBytes, 'c'))).toBe(true);
    expect(chunks.length).toBeLessThan(100);
    expect(it.wrongs).toEqual([]);
  });

  test('wire: closes each side by itself, and says RESET for neither', async () => {
    const it = startWire();
    const stream = await it.open();
    stream.end('last words');
    await turn();
    await it.say({ type: DATA, payload: Buffer.from('answer') }, { type: END });
    expect((await stream.toArray()).join()).toBe('answer');
    await turn();
    expect(it.port.heard.slice(1).map(({ type }) => type)).toEqual([DATA, END]);
    expect(it.wire.size).toBe(0);
  });

  test('wire: breaks a stream off on both sides', async () => {
    const it = startWire();
    const mine = await it.open(1);
    mine.destroy();
    const theirs = await it.open(3);
    const failed = once(theirs, 'error');
    await it.say({ type: RESET, stream: 3, argument: 104 });
    expect(await failed).toMatchObject([{ code: 'ECONNRESET' }]);
    expect(it.port.heard.map(({ type, stream }) => [type, stream])).toEqual([
      [OPEN, 1],
      [RESET, 1],
      [OPEN, 3],
    ]);
    // Sent before the guest knew of it.
    await it.say({ type: DATA, stream: 1, payload: Buffer.from('late') }, { type: END, stream: 1 });
    expect([it.wire.size, it.wrongs]).toEqual([0, []]);
  });

  test('wire: ends all streams with the reason of the machine’s end', async () => {
    const it = startWire();
    const stream = await it.open();
    const waiting = it.wire.connect(8080);
    stream.write(Buffer.alloc(windowBytes * 2));
    const failed = once(stream, 'error');
    const reason = new Error('the machine died');
    it.wire.close(reason);
    expect(await failed).toEqual([reason]);
    await expect(waiting).rejects.toBe(reason);
    await expect(it.wire.connect(8080)).rejects.toBe(reason);
    expect(it.port.destroyed).toBe(true);
  });

  test.each<[string, ...(Said | Buffer)[]]>([
    ['what is no frame', Buffer.alloc(8)],
    ['OPEN, which guests do not say yet', { type: OPEN, stream: 2, argument: 1 }],
    ['OPEN of a stream that the host has opened', { type: OPEN, argument: 1 }],
    ['a stream that was never opened', { type: END, stream: 3 }],
    ['a stream of the guest’s own', { type: DATA, stream: 2, payload: Buffer.from('x') }],
    ['DATA before OPENED', { type: DATA, payload: Buffer.from('x') }],
    ['WINDOW before OPENED', { type: WINDOW, payload: creditPayload(1) }],
    ['END before OPENED', { type: END }],
    ['OPENED twice', { type: OPENED }, { type: OPENED }],
    ['REFUSED after OPENED', { type: OPENED }, { type: REFUSED, argument: 111 }],
    ['DATA after END', { type: OPENED }, { type: END }, { type: DATA, payload: Buffer.from('x') }],
    ['END twice', { type: OPENED }, { type: END }, { type: END }],
    ['WINDOW for what was never sent', { type: OPENED }, { type: WINDOW, payload: creditPayload(1) }],
    [
      'DATA beyond the window',
      { type: OPENED },
      ...Array<Said>(5).fill({ type: DATA, payload: Buffer.alloc(payloadBytes) }),
    ],
  ])('wire: ends a guest that sends %s', async (_name, ...frames) => {
    const it = startWire();
    const opening = Promise.allSettled([it.wire.connect(8080)]);
    await it.say(...frames);
    const [opened] = await opening;
    expect(opened.status === 'rejected' || opened.value.destroyed).toBe(true);
    expect(it.wrongs).toHaveLength(1);
    expect([it.wire.size, it.port.destroyed]).toEqual([0, true]);
  });

  test('wire: takes 30000 mutated frames: each does nothing, or ends the wire; what is held stays bounded', async () => {
    let seed = 0x51ed2701;
    const random = (below: number) => {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((seed / 2 ** 32) * below);
    };
    const seeds: Said[] = [
      { type: OPENED },
      { type: REFUSED, argument: 111 },
      { type: DATA, payload: Buffer.alloc(100) },
      { type: DATA, payload: Buffer.alloc(20_000) },
      { type: WINDOW, payload: creditPayload(1000) },
      { type: END },
      { type: RESET, argument: 104 },
      { type: OPEN, argument: 1, payload: Buffer.from([0x1f, 0x90]) },
    ];
    let it = startWire();
    let last = -1;
    const streams: Duplex[] = [];
    const outcomes = { wrong: 0, right: 0, opened: 0 };
    for (let round = 0; round < 30_000; round += 1) {
      if (it.wire.size < 4) {
        // Two in three stay unread.
        const opening = it.wire.connect(8080);
        const reads = random(3) === 0;
        opening.then(
          (stream) => {
            outcomes.opened += 1;
            streams.push(reads ? stream.resume() : stream);
            if (random(2) === 0) stream.write(Buffer.alloc(random(3 * windowBytes)));
          },
          () => {
            // Refused, or broken off with its wire: what is looked at here is the wire.
          },
        );
        last += 2;
        if (random(5) > 0) await it.say({ type: OPENED, stream: last });
      }
      const said = seeds[random(seeds.length)] ?? { type: OPENED };
      const frame = bytesOf({ ...said, stream: Math.max(1, last - 2 * random(6)) });
      if (random(4) === 0) frame[random(8)] = random(256);
      await it.say(frame);
      const held = streams.reduce((sum, stream) => sum + stream.readableLength, 0);
      expect(held).toBeLessThanOrEqual(4 * (windowBytes + 65_536));
      if (it.wrongs.length === 0) {
        outcomes.right += 1;
      } else {
        outcomes.wrong += 1;
        expect(it.wire.size).toBe(0);
        it = startWire();
        streams.length = 0;
        last = -1;
      }
    }
    for (const count of Object.values(outcomes)) expect(count).toBeGreaterThan(500);
  });
});
