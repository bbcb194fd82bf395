/**
 * Writes `vectors/frames.json`: `node packages/guest-protocol/src/make-vectors.ts`. The test beside it fails when the
 * committed file is not what this makes.
 */
import { writeFileSync } from 'node:fs';
import type { ProtocolErrorCode } from './frames.ts';
import { MAX_DEPTH, MAX_FRAME_BYTES } from './limits.ts';

/** A stretch of the stream: the bytes of `hex`, `times` times over. */
export interface VectorPart {
  hex: string;
  times: number;
}

/** A byte stream, the frames it holds in order, and the error it ends with: at a frame, or at the end of the stream. */
export interface FrameVector {
  name: string;
  parts: VectorPart[];
  /** `null` for a frame too large to be repeated here: only its `type` is compared, which is "big". */
  frames: (object | null)[];
  error: ProtocolErrorCode | null;
}

type Piece = string | Uint8Array | VectorPart;

const bytesOf = (piece: string | Uint8Array): Uint8Array => (typeof piece === 'string' ? Buffer.from(piece) : piece);
const hexOf = (piece: string | Uint8Array): string => Buffer.from(bytesOf(piece)).toString('hex');
const partOf = (piece: Piece): VectorPart =>
  typeof piece === 'object' && 'times' in piece ? piece : { hex: hexOf(piece), times: 1 };
const times = (text: string, count: number): VectorPart => ({ hex: hexOf(text), times: count });

function length(sizeBytes: number): VectorPart {
  return { hex: sizeBytes.toString(16).padStart(8, '0'), times: 1 };
}

function frame(...pieces: Piece[]): VectorPart[] {
  const parts = pieces.map(partOf);
  return [length(parts.reduce((sum, part) => sum + (part.hex.length / 2) * part.times, 0)), ...parts];
}

const good = (name: string, text: string | Uint8Array, value: object): FrameVector => ({
  name,
  parts: frame(text),
  frames: [value],
  error: null,
});

const bad = (name: string, error: ProtocolErrorCode, parts: VectorPart[]): FrameVector => ({
  name,
  parts,
  frames: [],
  error,
});

const badText = (error: ProtocolErrorCode, texts: Record<string, string | Uint8Array>): FrameVector[] =>
  Object.entries(texts).map(([name, text]) => bad(name, error, frame(text)));

const nested = (levels: number): string => `{"type":"a","v":${'['.repeat(levels - 1)}${']'.repeat(levels - 1)}}`;
const inString = (...bytes: number[]): Uint8Array =>
  Buffer.concat([Buffer.from('{"type":"a","v":"'), Buffer.from(bytes), Buffer.from('"}')]);

function validVectors(): FrameVector[] {
  const big = '{"type":"big","v":""}';
  return [
    { name: 'empty stream', parts: [], frames: [], error: null },
    good('smallest object', '{"type":"a"}', { type: 'a' }),
    good('empty type', '{"type":""}', { type: '' }),
    good('white space everywhere', ' \t\r\n{ "type" : "a" ,\n"v" : [ ] }\n ', { type: 'a', v: [] }),
    good('all kinds of value', '{"type":"a","v":[null,true,false,0,-1,1.5,"",[],{}]}', {
      type: 'a',
      v: [null, true, false, 0, -1, 1.5, '', [], {}],
    }),
    good('numbers', '{"type":"a","v":[0,-12,1e3,1E-2,2.5e+1,9007199254740991]}', {
      type: 'a',
      v: [0, -12, 1000, 0.01, 25, 9007199254740991],
    }),
    good('short escapes', '{"type":"a","v":"\\"\\\\\\/\\b\\f\\n\\r\\t"}', { type: 'a', v: '"\\/\b\f\n\r\t' }),
    good('escape by number', '{"type":"a","v":"\\u0041\\u00e9\\u20AC"}', { type: 'a', v: 'A\u00e9\u20ac' }),
    good('NUL by escape', '{"type":"a","v":"\\u0000"}', { type: 'a', v: '\0' }),
    good('surrogate pair by escape', '{"type":"a","v":"\\uD83D\\ude00"}', { type: 'a', v: '\u{1f600}' }),
    good('backslash before u', '{"type":"a","v":"\\\\ud800"}', { type: 'a', v: '\\ud800' }),
    good('UTF-8 of one to four bytes', '{"type":"a","v":"a\u00e9\u20ac\u{10ffff}"}', {
      type: 'a',
      v: 'a\u00e9\u20ac\u{10ffff}',
    }),
    good('byte 127 in a string', inString(0x7f), { type: 'a', v: '\x7f' }),
    good('brackets in a string are no depth', `{"type":"a","v":"${'[{'.repeat(20)}"}`, {
      type: 'a',
      v: '[{'.repeat(20),
    }),
    good('escaped quote does not end the string', '{"type":"a","v":"\\"[[[[[[[[[[[[[[[[[[[["}', {
      type: 'a',
      v: '"[[[[[[[[[[[[[[[[[[[[',
    }),
    good('type by escape', '{"\\u0074ype":"a"}', { type: 'a' }),
    good('last of two equal names counts', '{"type":1,"type":"a"}', { type: 'a' }),
    good('empty name', '{"type":"a","":1}', { type: 'a', '': 1 }),
    good(`${MAX_DEPTH} levels`, nested(MAX_DEPTH), JSON.parse(nested(MAX_DEPTH))),
    {
      name: 'three frames in a row',
      parts: [...frame('{"type":"a"}'), ...frame('{"type":"b"}'), ...frame('{"type":"c"}')],
      frames: [{ type: 'a' }, { type: 'b' }, { type: 'c' }],
      error: null,
    },
    {
      name: 'longest frame, of one string',
      parts: frame('{"type":"big","v":"', times('x', MAX_FRAME_BYTES - big.length), '"}'),
      frames: [null],
      error: null,
    },
    {
      name: 'longest frame, of white space',
      parts: frame('{"type":"big"}', times(' ', MAX_FRAME_BYTES - 14)),
      frames: [null],
      error: null,
    },
  ];
}

function lengthVectors(): FrameVector[] {
  return [
    bad('length zero', 'FRAME_EMPTY', [length(0)]),
    bad('length one over the limit', 'FRAME_TOO_LONG', [length(MAX_FRAME_BYTES + 1)]),
    bad('length of 32 ones', 'FRAME_TOO_LONG', [{ hex: 'ffffffff', times: 1 }]),
    bad('length in the wrong byte order', 'FRAME_TOO_LONG', [{ hex: '0c000000', times: 1 }, partOf('{"type":"a"}')]),
    bad('stream ends in the length', 'FRAME_TRUNCATED', [{ hex: '000000', times: 1 }]),
    bad('stream ends after the length', 'FRAME_TRUNCATED', [length(12)]),
    bad('stream ends in the body', 'FRAME_TRUNCATED', [length(12), partOf('{"type":"a"')]),
    {
      name: 'good frame, then a bad one',
      parts: [...frame('{"type":"a"}'), length(0)],
      frames: [{ type: 'a' }],
      error: 'FRAME_EMPTY',
    },
    {
      name: 'nothing after a bad frame counts',
      parts: [...frame('{"type":"a"}'), ...frame('{'), ...frame('{"type":"b"}')],
      frames: [{ type: 'a' }],
      error: 'FRAME_NOT_JSON',
    },
  ];
}

function encodingVectors(): FrameVector[] {
  return badText('FRAME_NOT_UTF8', {
    'byte that never occurs': inString(0xff),
    'continuation without a start': inString(0x80),
    'overlong slash': inString(0xc0, 0xaf),
    'overlong in three bytes': inString(0xe0, 0x80, 0xaf),
    'overlong in four bytes': inString(0xf0, 0x80, 0x80, 0xaf),
    'surrogate in UTF-8': inString(0xed, 0xa0, 0x80),
    'beyond U+10FFFF': inString(0xf4, 0x90, 0x80, 0x80),
    'cut before the quote': inString(0xe2, 0x82),
    'cut at the end of the frame': Buffer.from([0xe2]),
    'encoding is judged before depth': Buffer.concat([Buffer.from('['.repeat(20)), Buffer.from([0xff])]),
  });
}

function depthVectors(): FrameVector[] {
  return [
    ...badText('FRAME_TOO_DEEP', {
      [`${MAX_DEPTH + 1} levels`]: nested(MAX_DEPTH + 1),
      'deep objects': `${'{"type":'.repeat(MAX_DEPTH + 1)}1${'}'.repeat(MAX_DEPTH + 1)}`,
      'depth is judged before syntax': `nonsense ${'['.repeat(MAX_DEPTH + 1)}`,
      'deep array is not an array': '['.repeat(MAX_DEPTH + 1) + ']'.repeat(MAX_DEPTH + 1),
    }),
    bad('a frame full of brackets', 'FRAME_TOO_DEEP', frame(times('[', MAX_FRAME_BYTES))),
  ];
}

function syntaxVectors(): FrameVector[] {
  return badText('FRAME_NOT_JSON', {
    'white space only': '  ',
    'open object': '{',
    'open string': '{"type":"a',
    'lone backslash at the end': '{"type":"\\',
    'two values': '{"type":"a"}{"type":"b"}',
    'closing bracket too many': '{"type":"a"}]',
    'bracket of the wrong kind': '{"type":"a","v":[}',
    'comma at the end of an object': '{"type":"a",}',
    'comma at the end of an array': '{"type":"a","v":[1,]}',
    'comma at the start': '{,"type":"a"}',
    'no comma': '{"type":"a" "v":1}',
    'no colon': '{"type" "a"}',
    'name without quotes': '{type:"a"}',
    'name that is no string': '{1:2,"type":"a"}',
    'single quotes': "{'type':'a'}",
    comment: '{"type":"a"/**/}',
    'byte order mark': '\ufeff{"type":"a"}',
    'other white space': '\u00a0{"type":"a"}',
    'vertical tab': '\v{"type":"a"}',
    'NUL after the object': '{"type":"a"}\0',
    'wrong word': '{"type":"a","v":nul}',
    'word in capitals': '{"type":"a","v":True}',
    'not a number': '{"type":"a","v":NaN}',
    infinity: '{"type":"a","v":-Infinity}',
    'plus sign': '{"type":"a","v":+1}',
    'leading zero': '{"type":"a","v":01}',
    'no digit before the point': '{"type":"a","v":.5}',
    'no digit after the point': '{"type":"a","v":1.}',
    'no digit in the exponent': '{"type":"a","v":1e}',
    'sign only': '{"type":"a","v":-}',
    'hexadecimal number': '{"type":"a","v":0x10}',
    'line break in a string': '{"type":"a","v":"\n"}',
    'NUL in a string': '{"type":"a","v":"\0"}',
    'unknown escape': '{"type":"a","v":"\\x41"}',
    'short escape by number': '{"type":"a","v":"\\u12"}',
    'escape by number with a sign': '{"type":"a","v":"\\u+123"}',
    'first half of a pair alone': '{"type":"a","v":"\\ud800"}',
    'second half of a pair alone': '{"type":"a","v":"\\udc00"}',
    'first half before another character': '{"type":"a","v":"\\ud800\\u0041"}',
    'halves in the wrong order': '{"type":"a","v":"\\udc00\\ud800"}',
    'half a pair in a name': '{"type":"a","\\ud800":1}',
  });
}

function shapeVectors(): FrameVector[] {
  return [
    ...badText('FRAME_NOT_OBJECT', {
      array: '[{"type":"a"}]',
      string: '"type"',
      number: '1',
      null: 'null',
      true: 'true',
    }),
    ...badText('FRAME_NO_TYPE', {
      'no members': '{}',
      'no type': '{"v":"type"}',
      'type only inside': '{"v":{"type":"a"}}',
      'type is a number': '{"type":1}',
      'type is null': '{"type":null}',
      'type in capitals': '{"TYPE":"a"}',
      'last type is no string': '{"type":"a","type":1}',
    }),
  ];
}

/** The text of `vectors/frames.json`. */
export function frameVectorsText(): string {
  const vectors = [
    ...validVectors(),
    ...lengthVectors(),
    ...encodingVectors(),
    ...depthVectors(),
    ...syntaxVectors(),
    ...shapeVectors(),
  ];
  const lines = vectors.map((vector) => `    ${JSON.stringify(vector)}`).join(',\n');
  return `{\n  "format": 1,\n  "maxFrameBytes": ${MAX_FRAME_BYTES},\n  "maxDepth": ${MAX_DEPTH},\n  "vectors": [\n${lines}\n  ]\n}\n`;
}

if (import.meta.main) writeFileSync(new URL('../vectors/frames.json', import.meta.url), frameVectorsText());
