import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type WireVector, wireVectorsText } from './make-wire-vectors.ts';
import {
  creditPayload,
  encodeWireFrame,
  WIRE_LIMITS,
  WIRE_TYPES,
  WireDecoder,
  WireError,
  type WireFrame,
} from './wire.ts';

const committed = readFileSync(new URL('../vectors/wire.json', import.meta.url), 'utf8');
const { vectors } = JSON.parse(committed) as { vectors: WireVector[] };
const streamOf = ({ parts }: WireVector) =>
  Buffer.concat(parts.map(({ hex, times }) => Buffer.alloc((hex.length / 2) * times, Buffer.from(hex, 'hex'))));

/** What a decoder makes of a stream that comes in chunks of the given size. */
function decode(stream: Buffer, chunkBytes: number): { frames: WireFrame[]; error: string | null } {
  const decoder = new WireDecoder();
  const frames: WireFrame[] = [];
  try {
    for (let at = 0; at < stream.length; at += chunkBytes)
      frames.push(...decoder.push(stream.subarray(at, at + chunkBytes)));
    decoder.end();
    return { frames, error: null };
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return { frames: [...frames, ...error.decoded], error: error.code };
  }
}

describe('vectors/wire.json', () => {
  test('vectors: the committed file is what make-wire-vectors.ts makes', () => {
    expect(committed).toBe(wireVectorsText());
  });

  for (const vector of vectors) {
    test(`WireDecoder: ${vector.error ?? 'accepts'}, on "${vector.name}"`, () => {
      const stream = streamOf(vector);
      for (const chunkBytes of [1, 3, 8, 9, stream.length || 1]) {
        const { frames, error } = decode(stream, chunkBytes);
        const heads = frames.map(({ payload, ...head }) => ({ ...head, payloadBytes: payload.length }));
        expect({ frames: heads, error }).toEqual({ frames: vector.frames, error: vector.error });
        // What is read is what was written.
        const again = Buffer.concat(frames.map(encodeWireFrame));
        expect(stream.subarray(0, again.length).equals(again)).toBe(true);
      }
    });
  }
});

test('WireDecoder: throws the same error again, after a malformed frame', () => {
  const decoder = new WireDecoder();
  expect(() => decoder.push(Buffer.alloc(8))).toThrow(WireError);
  const good = encodeWireFrame({ type: WIRE_TYPES.END, argument: 0, stream: 1 });
  expect(() => decoder.push(good)).toThrow(/type 0/);
  expect(() => decoder.end()).toThrow(/type 0/);
});

test('encodeWireFrame: writes type, argument, length and stream in the order of the network', () => {
  const payload = creditPayload(WIRE_LIMITS.windowBytes);
  const bytes = encodeWireFrame({ type: WIRE_TYPES.WINDOW, argument: 0, stream: 0x01020304, payload });
  expect(bytes.toString('hex')).toBe('05000004010203040002' + '0000');
});

test('WireDecoder: takes 30000 mutated streams without another error than its own, seeded', () => {
  let seed = 0x2545f491;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  const seeds = vectors.map(streamOf).filter((stream) => stream.length > 0 && stream.length < 1024);
  for (let round = 0; round < 30_000; round += 1) {
    const stream = Buffer.from(seeds[random(seeds.length)] ?? Buffer.alloc(8));
    for (let change = random(4); change >= 0; change -= 1) stream[random(stream.length)] = random(256);
    decode(stream, 1 + random(stream.length));
  }
});
