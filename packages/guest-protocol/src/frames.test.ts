import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { encodeFrame, FrameDecoder, ProtocolError } from './frames.ts';
import { MAX_FRAME_BYTES } from './limits.ts';
import { type FrameVector, frameVectorsText } from './make-vectors.ts';

const committed = readFileSync(new URL('../vectors/frames.json', import.meta.url), 'utf8');
const { vectors } = JSON.parse(committed) as { vectors: FrameVector[] };
const streamOf = (vector: FrameVector) =>
  Buffer.concat(
    vector.parts.map((part) => Buffer.alloc((part.hex.length / 2) * part.times, Buffer.from(part.hex, 'hex'))),
  );

/** What a decoder makes of a stream that arrives in chunks of the given size. */
function decode(stream: Buffer, chunkBytes: number): { frames: object[]; error: string | null } {
  const decoder = new FrameDecoder();
  const frames: object[] = [];
  try {
    for (let at = 0; at < stream.length; at += chunkBytes) {
      // A copy that is overwritten afterwards: the decoder must not keep the caller's memory.
      const chunk = Buffer.from(stream.subarray(at, at + chunkBytes));
      frames.push(...decoder.push(chunk));
      chunk.fill(0x21);
    }
    decoder.end();
    return { frames, error: null };
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { frames: [...frames, ...error.decoded], error: error.code };
  }
}

describe('vectors/frames.json', () => {
  test('vectors: the committed file is what make-vectors.ts makes', () => {
    expect(committed).toBe(frameVectorsText());
  });

  test('vectors: every name occurs once', () => {
    expect(new Set(vectors.map((vector) => vector.name)).size).toBe(vectors.length);
  });

  for (const vector of vectors) {
    test(`FrameDecoder: ${vector.error ?? 'accepts'}, on "${vector.name}"`, () => {
      const stream = streamOf(vector);
      for (const chunkBytes of stream.length > 4096 ? [65_536, stream.length] : [1, 3, 7, stream.length || 1]) {
        const { frames, error } = decode(stream, chunkBytes);
        expect({ frames: frames.length, error }).toEqual({ frames: vector.frames.length, error: vector.error });
        vector.frames.forEach((wanted, index) => {
          if (wanted) expect(frames[index]).toEqual(wanted);
          else expect(frames[index]).toMatchObject({ type: 'big' });
        });
      }
    });
  }
});

test('encodeFrame: writes big-endian length and UTF-8 JSON', () => {
  const frame = encodeFrame({ type: 'é' });
  expect(frame.subarray(0, 4).toString('hex')).toBe('0000000d');
  expect(frame.subarray(4).toString('utf8')).toBe('{"type":"é"}');
});

test('encodeFrame: refuses what no peer would accept', () => {
  const codeOf = (object: object) => {
    try {
      encodeFrame(object);
      return null;
    } catch (error) {
      return error instanceof ProtocolError ? error.code : error;
    }
  };
  const room = MAX_FRAME_BYTES - '{"type":"a","v":""}'.length;
  expect(codeOf({ type: 'a', v: 'x'.repeat(room) })).toBeNull();
  expect(codeOf({ type: 'a', v: 'x'.repeat(room + 1) })).toBe('FRAME_TOO_LONG');
  expect(codeOf({ v: 1 })).toBe('FRAME_NO_TYPE');
  expect(codeOf([])).toBe('FRAME_NOT_OBJECT');
  expect(codeOf({ type: 'a', v: '\ud800' })).toBe('FRAME_NOT_JSON');
  expect(codeOf({ type: 'a', v: JSON.parse(`${'['.repeat(16)}${']'.repeat(16)}`) })).toBe('FRAME_TOO_DEEP');
});

test('FrameDecoder: throws the same error again, after a malformed frame', () => {
  const decoder = new FrameDecoder();
  const bad = Buffer.alloc(4);
  let first: unknown;
  try {
    decoder.push(bad);
  } catch (error) {
    first = error;
  }
  expect(() => decoder.push(encodeFrame({ type: 'a' }))).toThrow(first as Error);
  expect(() => decoder.end()).toThrow(first as Error);
});

test('FrameDecoder: takes linear time, for the longest frame byte by byte', () => {
  const stream = encodeFrame({ type: 'a', v: 'x'.repeat(MAX_FRAME_BYTES - 19) });
  const decoder = new FrameDecoder();
  let frames = 0;
  for (let at = 0; at < stream.length; at += 1) frames += decoder.push(stream.subarray(at, at + 1)).length;
  expect(frames).toBe(1);
});

test('FrameDecoder: survives 20000 mutated streams, seeded', () => {
  let seed = 0x2545f491;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  const seeds = vectors.map(streamOf).filter((stream) => stream.length > 0 && stream.length < 4096);
  for (let round = 0; round < 20_000; round += 1) {
    const stream = Buffer.from(seeds[random(seeds.length)] ?? Buffer.alloc(4));
    for (let change = random(4); change >= 0; change -= 1) stream[random(stream.length)] = random(256);
    decode(stream, 1 + random(stream.length));
  }
});
