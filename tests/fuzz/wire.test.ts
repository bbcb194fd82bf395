import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import {
  creditPayload,
  encodeWireFrame,
  WIRE_LIMITS,
  WIRE_TYPES,
  WireDecoder,
  WireError,
  type WireFrame,
} from '@vmlet/guest-protocol/wire';
import { expect, test } from 'vitest';
import { Wire } from '../../packages/node/src/machines/wire/wire.ts';
import { CParser } from './differential.ts';
import { fuzz, fuzzTimeoutMs } from './engine.ts';
import type { Random } from './random.ts';

const VECTORS = join(import.meta.dirname, '../../packages/guest-protocol/vectors/wire.json');

interface Vector {
  parts: { hex: string; times: number }[];
}

const vectors = (JSON.parse(readFileSync(VECTORS, 'utf8')) as { vectors: Vector[] }).vectors
  .map(({ parts }) =>
    Buffer.concat(parts.flatMap(({ hex, times }) => Array<Buffer>(times).fill(Buffer.from(hex, 'hex')))),
  )
  .filter((bytes) => bytes.length > 0 && bytes.length < 4096);

const { OPENED, REFUSED, DATA, WINDOW, END, RESET } = WIRE_TYPES;
const frame = (type: WireFrame['type'], stream: number, rest: { argument?: number; payload?: Buffer } = {}) =>
  encodeWireFrame({ type, argument: 0, stream, ...rest });
/** What a guest answers with on the first two streams: one that serves, one that is refused or broken off. */
const sessions = [
  [frame(OPENED, 1), frame(DATA, 1, { payload: Buffer.from('HTTP/1.1 200 OK\r\n\r\n') }), frame(END, 1)],
  [
    frame(OPENED, 1),
    frame(OPENED, 3),
    frame(WINDOW, 1, { payload: creditPayload(4096) }),
    frame(RESET, 1, { argument: 104 }),
  ],
  [frame(REFUSED, 1, { argument: 111 }), frame(OPENED, 3), frame(END, 3), frame(RESET, 3)],
  [frame(OPENED, 1), ...Array<Buffer>(8).fill(frame(DATA, 1, { payload: Buffer.alloc(1024, 'x') }))],
].map((frames) => Buffer.concat(frames));
const dictionary = [
  ...['\x01\x01\0\x02\0\0\0\x01\x1f\x90', '\x02\0\0\0\0\0\0\x01', '\x03\x6f\0\0\0\0\0\x01', '\x04\0\0\x01\0\0\0\x01x'],
  ...[
    '\x05\0\0\x04\0\0\0\x01\0\0\0\x01',
    '\x05\0\0\x04\0\0\0\x01\xff\xff\xff\xff',
    '\x06\0\0\0\0\0\0\x01',
    '\x07\0\0\0\0\0\0\x01',
  ],
  ...['\0\0\0\x03', '\0\0\0\x02', '\0\0\0\0', '\xff\xff\xff\xff'],
];

function runTypeScript(stream: Buffer, random: Random): string {
  const decoder = new WireDecoder();
  let text = '';
  const note = (frames: readonly WireFrame[]) => {
    for (const one of frames) text += `${one.type} ${one.argument} ${one.stream} ${one.payload.length};`;
  };
  try {
    for (const piece of random.cut(stream)) note(decoder.push(piece));
    decoder.end();
    return `${text}-`;
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    note(error.decoded);
    return `${text}${error.code}`;
  }
}

test(
  'wire: C and TypeScript come to the same verdict, however the bytes are cut',
  async () => {
    using parser = new CParser(['test/wire.c', 'wire.c', 'session.c', 'exec.c', 'copy.c'], ['frames']);
    await fuzz({
      name: 'wire',
      corpus: [...vectors, ...sessions],
      dictionary,
      maxBytes: 8192,
      run(input, random) {
        parser.expect(input, runTypeScript(input, random));
      },
    });
    parser.compare();
  },
  fuzzTimeoutMs('wire'),
);

test(
  'wire: ends once or serves its streams, and keeps no more than a window of each, whatever the guest sends',
  async () => {
    await fuzz({
      name: 'wire-host',
      corpus: [...sessions, ...vectors],
      dictionary,
      async run(input, random) {
        const port = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
        const misbehaved: string[] = [];
        const wire = new Wire(port, { onMisbehaved: (found) => misbehaved.push(found) });
        const streams: Duplex[] = [];
        const settled = [wire.connect(8080), wire.connect(8080)].map((one) =>
          one.then(
            (stream) => void streams.push(stream.on('error', () => stream.destroy())),
            (error) => expect(error).toBeInstanceOf(Error),
          ),
        );
        for (const piece of random.cut(input)) {
          port.emit('data', piece);
          if (random.below(3) > 0) await Promise.resolve();
          const stream = random.below(4) === 0 ? streams[0] : undefined;
          if (random.below(2) === 0) stream?.read();
          else if (stream?.writable) stream.write('GET / HTTP/1.1\r\n\r\n');
        }
        expect(misbehaved.length).toBeLessThan(2);
        expect(wire.size).toBeLessThan(3);
        for (const stream of streams) {
          expect(stream.readableLength).toBeLessThanOrEqual(WIRE_LIMITS.windowBytes);
        }
        wire.close(new Error('the machine has ended'));
        await Promise.all(settled);
        expect(wire.size).toBe(0);
      },
    });
  },
  fuzzTimeoutMs('wire-host'),
);
