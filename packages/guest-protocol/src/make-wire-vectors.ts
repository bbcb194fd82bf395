/**
 * Writes `vectors/wire.json`: `node packages/guest-protocol/src/make-wire-vectors.ts`. The test beside it fails when the
 * committed file is not what this makes.
 */
import { writeFileSync } from 'node:fs';
import { WIRE_LIMITS } from './limits.ts';
import type { WireErrorCode } from './wire.ts';

/** A byte stream, the frames it holds in order, and the error it ends with. `hex` is repeated `times` times. */
export interface WireVector {
  name: string;
  parts: { hex: string; times: number }[];
  frames: { type: number; argument: number; stream: number; payloadBytes: number }[];
  error: WireErrorCode | null;
}

interface Head {
  type: number;
  argument?: number;
  stream?: number;
  payload?: string;
  /** Stands in for the payload's own length. */
  length?: number;
}

const { payloadBytes, windowBytes } = WIRE_LIMITS;
const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');

function frame({ type, argument = 0, stream = 1, payload = '', length = payload.length / 2 }: Head): string {
  return hex(type, 2) + hex(argument, 2) + hex(length, 4) + hex(stream, 8) + payload;
}

const seen = ({ type, argument = 0, stream = 1, payload = '' }: Head): WireVector['frames'][number] => ({
  type,
  argument,
  stream,
  payloadBytes: payload.length / 2,
});

const good = (name: string, ...heads: Head[]): WireVector => ({
  name,
  parts: [{ hex: heads.map(frame).join(''), times: 1 }],
  frames: heads.map(seen),
  error: null,
});

const bad = (name: string, error: WireErrorCode, text: string, before: Head[] = []): WireVector => ({
  name,
  parts: [{ hex: before.map(frame).join('') + text, times: 1 }],
  frames: before.map(seen),
  error,
});

function goodVectors(): WireVector[] {
  return [
    { name: 'empty stream', parts: [], frames: [], error: null },
    good('OPEN of kind 1 to port 8080', { type: 1, argument: 1, payload: '1f90' }),
    good('OPEN of an unknown kind, without payload', { type: 1, argument: 255 }),
    good('OPENED', { type: 2 }),
    good('REFUSED with ECONNREFUSED', { type: 3, argument: 111 }),
    good('DATA of one byte', { type: 4, payload: '00' }),
    good('WINDOW of one byte', { type: 5, payload: hex(1, 8) }),
    good('WINDOW of all', { type: 5, payload: hex(windowBytes, 8) }),
    good('END', { type: 6 }),
    good('RESET without a reason', { type: 7 }),
    good('RESET with a reason', { type: 7, argument: 104 }),
    good('highest stream', { type: 6, stream: 0xffff_ffff }),
    good(
      'several frames in a row',
      { type: 1, argument: 1, payload: '1f90' },
      { type: 4, payload: 'abcd' },
      { type: 6 },
    ),
    {
      name: 'longest DATA',
      parts: [
        { hex: frame({ type: 4, length: payloadBytes }), times: 1 },
        { hex: '61', times: payloadBytes },
      ],
      frames: [{ type: 4, argument: 0, stream: 1, payloadBytes }],
      error: null,
    },
  ];
}

function badVectors(): WireVector[] {
  const types = [0, 8, 0x7b, 255].map((type) => bad(`type ${type}`, 'WIRE_TYPE', frame({ type })));
  const empty = [2, 3, 6, 7].map((type) =>
    bad(`payload in type ${type}`, 'WIRE_LENGTH', frame({ type, argument: type === 3 ? 1 : 0, payload: '00' })),
  );
  const plain = [2, 4, 5, 6].map((type) =>
    bad(
      `argument in type ${type}`,
      'WIRE_ARGUMENT',
      frame({ type, argument: 1, length: type === 5 ? 4 : type === 4 ? 1 : 0 }),
    ),
  );
  const one: Head = { type: 4, payload: '61' };
  return [
    ...types,
    ...empty,
    bad('DATA without payload', 'WIRE_LENGTH', frame({ type: 4 })),
    bad('DATA one byte too long', 'WIRE_LENGTH', frame({ type: 4, length: payloadBytes + 1 })),
    bad('OPEN one byte too long', 'WIRE_LENGTH', frame({ type: 1, argument: 1, length: payloadBytes + 1 })),
    bad('WINDOW of three bytes', 'WIRE_LENGTH', frame({ type: 5, payload: '000001' })),
    bad('WINDOW of five bytes', 'WIRE_LENGTH', frame({ type: 5, payload: '0000000001' })),
    ...plain,
    bad('OPEN without a kind', 'WIRE_ARGUMENT', frame({ type: 1 })),
    bad('REFUSED without a reason', 'WIRE_ARGUMENT', frame({ type: 3 })),
    bad('stream 0', 'WIRE_STREAM', frame({ type: 6, stream: 0 })),
    bad('length is judged before the argument', 'WIRE_LENGTH', frame({ type: 2, argument: 1, length: 1 })),
    bad('the argument is judged before the stream', 'WIRE_ARGUMENT', frame({ type: 6, argument: 1, stream: 0 })),
    bad('the header is judged before the payload is there', 'WIRE_STREAM', frame({ type: 4, stream: 0, length: 9 })),
    bad('WINDOW of nothing', 'WIRE_CREDIT', frame({ type: 5, payload: hex(0, 8) })),
    bad('WINDOW of one byte too many', 'WIRE_CREDIT', frame({ type: 5, payload: hex(windowBytes + 1, 8) })),
    bad('WINDOW of 32 ones', 'WIRE_CREDIT', frame({ type: 5, payload: 'ffffffff' })),
    bad('ends in the header', 'WIRE_TRUNCATED', '04000001000000'),
    bad('ends after the header', 'WIRE_TRUNCATED', frame({ type: 4, length: 1 })),
    bad('ends in the payload', 'WIRE_TRUNCATED', frame({ type: 4, length: 3, payload: '6161' })),
    bad('good frame, then a bad one', 'WIRE_TYPE', frame({ type: 0 }), [one]),
    bad('nothing after a bad frame counts', 'WIRE_TYPE', frame({ type: 9 }) + frame(one), [one]),
  ];
}

/** The text of `vectors/wire.json`. */
export function wireVectorsText(): string {
  const lines = [...goodVectors(), ...badVectors()].map((vector) => `    ${JSON.stringify(vector)}`).join(',\n');
  return `{\n  "format": 1,\n  "payloadBytes": ${payloadBytes},\n  "windowBytes": ${windowBytes},\n  "vectors": [\n${lines}\n  ]\n}\n`;
}

if (import.meta.main) writeFileSync(new URL('../vectors/wire.json', import.meta.url), wireVectorsText());
