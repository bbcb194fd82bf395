import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { requireCompiled } from './harness.ts';
import { onEachNode } from './suite.ts';

interface Vector {
  name: string;
  parts: { hex: string; times: number }[];
  frames: (object | null)[];
  error: string | null;
}

const path = new URL('../../../guest-protocol/vectors/frames.json', import.meta.url);
const { vectors } = JSON.parse(readFileSync(path, 'utf8')) as { vectors: Vector[] };
const bytesOf = ({ parts }: Vector) =>
  Buffer.concat(parts.map(({ hex, times }) => Buffer.alloc((hex.length / 2) * times, Buffer.from(hex, 'hex'))));

await onEachNode('frames', ({ version, file, launch }) => {
  if (version.path === process.execPath) {
    const { FrameDecoder, ProtocolError, encodeFrame } = requireCompiled(file);
    const decode = (stream: Buffer, chunkBytes: number) => {
      const decoder = new FrameDecoder();
      const frames: object[] = [];
      try {
        for (let at = 0; at < stream.length; at += chunkBytes) {
          const chunk = Buffer.from(stream.subarray(at, at + chunkBytes));
          frames.push(...decoder.push(chunk));
          chunk.fill(0x21); // the decoder must not keep the caller's memory
        }
        decoder.end();
        return { frames, error: null };
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        return { frames: [...frames, ...error.decoded], error: error.code };
      }
    };

    for (const vector of vectors) {
      test(`FrameDecoder: ${vector.error ?? 'accepts'}, on "${vector.name}"`, () => {
        const stream = bytesOf(vector);
        for (const chunkBytes of stream.length > 4096 ? [65_536, stream.length] : [1, 3, 7, stream.length || 1]) {
          const { frames, error } = decode(stream, chunkBytes);
          expect({ frames: frames.length, error }).toEqual({ frames: vector.frames.length, error: vector.error });
          vector.frames.forEach((wanted, index) => {
            expect(frames[index]).toMatchObject(wanted ?? { type: 'big' });
          });
        }
      });
    }

    test('FrameDecoder: throws the same error again, after a malformed frame', () => {
      const decoder = new FrameDecoder();
      expect(() => decoder.push(Buffer.alloc(4))).toThrow('length 0 bytes');
      expect(() => decoder.push(encodeFrame({ type: 'a' }))).toThrow('length 0 bytes');
      expect(() => decoder.end()).toThrow('length 0 bytes');
    });
  }

  // The decoder of an old Node meets bytes here, which is all that differs between versions.
  test('launcher: ends with 0 and says why, on a malformed frame', async () => {
    const bodies = ['80', '22', '7b7d', '5b5d', Buffer.from('{"type":"\\ud800"}').toString('hex'), '7b'.repeat(20)];
    for (const body of bodies) {
      const launcher = await launch();
      await launcher.receive();
      launcher.control.write(Buffer.from((body.length / 2).toString(16).padStart(8, '0') + body, 'hex'));
      expect((await launcher.ended).code).toBe(0);
      expect(launcher.stderr).toMatch(/^vmlet: Cannot decode frame: /);
    }
  });
});
