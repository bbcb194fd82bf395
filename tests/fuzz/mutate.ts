import type { Random } from './random.ts';

const INTERESTING = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];

interface Material {
  corpus: readonly Buffer[];
  dictionary: readonly Buffer[];
  maxBytes: number;
}

type Mutation = (bytes: Buffer, random: Random, material: Material) => Buffer;

/** `bytes` with `length` bytes from `at` on replaced. */
const splice = (bytes: Buffer, at: number, { length = 0, by = Buffer.alloc(0) }: { length?: number; by?: Buffer }) =>
  Buffer.concat([bytes.subarray(0, at), by, bytes.subarray(at + length)]);

const MUTATIONS: readonly Mutation[] = [
  function flipBit(bytes, random) {
    const flipped = Buffer.from(bytes);
    const at = random.below(flipped.length);
    flipped[at] = (flipped[at] ?? 0) ^ (1 << random.below(8));
    return flipped;
  },
  (bytes, random) => splice(bytes, random.below(bytes.length), { length: 1, by: random.bytes(1) }),
  (bytes, random) => splice(bytes, random.below(bytes.length), { by: random.bytes(1 + random.below(8)) }),
  (bytes, random) => splice(bytes, random.below(bytes.length), { length: 1 + random.below(16) }),
  (bytes, random) => bytes.subarray(0, random.below(bytes.length)),
  function setNumber(bytes, random) {
    const value = random.pick(INTERESTING);
    const number = Buffer.alloc(4);
    if (random.below(2) === 0) number.writeUInt32BE(value);
    else number.writeUInt32LE(value);
    const by = number.subarray(0, random.pick([1, 2, 4]));
    return splice(bytes, random.below(bytes.length), { length: by.length, by });
  },
  (bytes, random, { dictionary }) => splice(bytes, random.below(bytes.length), { by: random.pick(dictionary) }),
  function overwriteByWord(bytes, random, { dictionary }) {
    const by = random.pick(dictionary);
    return splice(bytes, random.below(bytes.length), { length: by.length, by });
  },
  function repeatPart(bytes, random, { maxBytes }) {
    const at = random.below(bytes.length);
    const part = bytes.subarray(at, at + 1 + random.below(64));
    const times = Math.min(random.pick([1, 2, 16, 256]), Math.floor(maxBytes / part.length));
    return splice(bytes, at, { by: Buffer.concat(Array<Buffer>(times).fill(part)) });
  },
  function crossOver(bytes, random, { corpus }) {
    const other = random.pick(corpus);
    return Buffer.concat([bytes.subarray(0, random.below(bytes.length)), other.subarray(random.below(other.length))]);
  },
];

/** One of the corpus, changed in up to eight places. */
export function mutate(random: Random, material: Material): Buffer {
  let bytes = random.pick(material.corpus);
  for (let left = 1 + random.below(8); left > 0; left--) {
    if (bytes.length === 0) bytes = random.pick(material.corpus);
    bytes = random.pick(MUTATIONS)(bytes, random, material).subarray(0, material.maxBytes);
  }
  return bytes;
}
