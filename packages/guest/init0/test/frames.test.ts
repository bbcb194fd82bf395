import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { FrameDecoder, ProtocolError } from '@vmlet/guest-protocol';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Build, build, Init0 } from './harness.ts';

interface Vector {
  name: string;
  parts: { hex: string; times: number }[];
  frames: (Record<string, unknown> | null)[];
  error: string | null;
}

const url = new URL('../../../guest-protocol/vectors/frames.json', import.meta.url);
const { vectors } = JSON.parse(readFileSync(url, 'utf8')) as { vectors: Vector[] };
const streamOf = ({ parts }: Vector) =>
  Buffer.concat(parts.map(({ hex, times }) => Buffer.alloc((hex.length / 2) * times, Buffer.from(hex, 'hex'))));

let built: Build;
beforeAll(() => {
  built = build();
});
afterAll(() => built[Symbol.dispose]());

/** What frames.h makes of each stream: number of good frames, code, text of the last frame's `v`. */
function runC(streams: readonly Buffer[]): { frames: number; error: string | null; v: string | null }[] {
  const input = Buffer.concat(
    streams.flatMap((stream) => {
      const head = Buffer.alloc(4);
      head.writeUInt32BE(stream.length);
      return [head, stream];
    }),
  );
  const { stdout, stderr, status } = spawnSync(built.frames, { input, maxBuffer: 2 ** 28, encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout
    .trim()
    .split('\n')
    .map((line) => {
      const [frames, error, v] = line.split(' ');
      return {
        frames: Number(frames),
        error: error === '-' ? null : error!,
        v: v === '-' ? null : Buffer.from(v!, 'hex').toString(),
      };
    });
}

function runTypeScript(stream: Buffer): { frames: number; error: string | null } {
  const decoder = new FrameDecoder();
  let frames = 0;
  try {
    frames = decoder.push(stream).length;
    decoder.end();
    return { frames, error: null };
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { frames: frames + error.decoded.length, error: error.code };
  }
}

test('frames.h: gives the answer of every vector', () => {
  const answers = runC(vectors.map(streamOf));
  vectors.forEach((vector, index) => {
    const { frames, error, v } = answers[index]!;
    expect({ name: vector.name, frames, error }).toEqual({
      name: vector.name,
      frames: vector.frames.length,
      error: vector.error,
    });
    const wanted = vector.frames.at(-1)?.v;
    // A text with a NUL is no C string: frames.h gives none.
    if (!vector.error && typeof wanted === 'string' && !wanted.includes('\0')) expect(v).toBe(wanted);
  });
});

test('frames.h: agrees with TypeScript on 30000 mutated streams, seeded', () => {
  let seed = 0x9e3779b9;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  const seeds = vectors.map(streamOf).filter((stream) => stream.length > 4 && stream.length < 1024);
  const interesting = Buffer.from('{}[]",:\\u0dD8e-+. \0\n\x7f\x80\xbf\xc2\xe2\xed\xf0\xff', 'latin1');
  const streams = Array.from({ length: 30_000 }, () => {
    const stream = Buffer.from(seeds[random(seeds.length)]!);
    for (let change = random(4); change >= 0; change -= 1) {
      // Mostly behind the length, which would only be too long.
      const at = random(20) === 0 ? random(4) : 4 + random(stream.length - 4);
      stream[at] = random(2) ? random(256) : interesting[random(interesting.length)]!;
    }
    return stream;
  });
  const answers = runC(streams);
  streams.forEach((stream, index) => {
    const { frames, error } = answers[index]!;
    expect({ stream: stream.toString('hex'), frames, error }).toEqual({
      stream: stream.toString('hex'),
      ...runTypeScript(stream),
    });
  });
});

test('init0: reports every malformed vector with phase and code, then powers off', async () => {
  for (const vector of vectors.filter(({ error }) => error && error !== 'FRAME_TRUNCATED')) {
    await using init0 = new Init0(built.sanitized);
    await init0.until('hello');
    init0.port.write(streamOf(vector));
    const exitCode = await init0.exitCode();
    // Good frames before the bad one are of a type that init0 does not know.
    const codes = init0.received.flatMap((message) =>
      message.type === 'failed' ? [[message.phase, message.code]] : [],
    );
    expect({ name: vector.name, exitCode, codes, stderr: init0.stderr }).toEqual({
      name: vector.name,
      exitCode: 0,
      codes: [...vector.frames.map(() => ['configure', 'MESSAGE_UNEXPECTED']), ['configure', vector.error]],
      stderr: '',
    });
    expect(init0.received.at(-1)).toEqual({ type: 'halted' });
  }
});
