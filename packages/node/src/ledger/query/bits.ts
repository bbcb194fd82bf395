/** Places of a block. */
export const SLOTS = 1024;

const WORDS = SLOTS / 32;
/** A bit for each. */
const DENSE_BYTES = 128;
/** From here on a bit for each place is shorter than two bytes for each that is set. */
const DENSE_FROM = DENSE_BYTES / 2;

/** Which places of a block have something, one bit each. */
export type Bits = Uint32Array<ArrayBuffer>;

/** Reads what {@link writeBits} wrote: places of two bytes each, or all the bits. Nothing is no place. */
export function readBits(blob: Buffer | undefined): Bits {
  if (blob?.length === DENSE_BYTES) {
    // A copy: a blob need not be aligned.
    return new Uint32Array(blob.buffer.slice(blob.byteOffset, blob.byteOffset + DENSE_BYTES) as ArrayBuffer);
  }
  const bits = new Uint32Array(WORDS);
  for (let at = 0; blob !== undefined && at < blob.length; at += 2) setBit(bits, blob.readUInt16LE(at));
  return bits;
}

/** The shorter of two forms, told apart by their length. */
export function writeBits(bits: Bits): Buffer {
  const count = countBits(bits);
  if (count >= DENSE_FROM) return Buffer.from(bits.buffer);
  const blob = Buffer.alloc(count * 2);
  let at = 0;
  for (const slot of slotsOf(bits)) at = blob.writeUInt16LE(slot, at);
  return blob;
}

export function setBit(bits: Bits, slot: number): void {
  bits[slot >>> 5] = (bits[slot >>> 5] ?? 0) | (1 << (slot & 31));
}

export function clearBit(bits: Bits, slot: number): void {
  bits[slot >>> 5] = (bits[slot >>> 5] ?? 0) & ~(1 << (slot & 31));
}

export function hasBit(bits: Bits, slot: number): boolean {
  return ((bits[slot >>> 5] ?? 0) & (1 << (slot & 31))) !== 0;
}

/** How many places are set. */
export function countBits(bits: Bits): number {
  let count = 0;
  for (let word of bits) {
    word -= (word >>> 1) & 0x55555555;
    word = (word & 0x33333333) + ((word >>> 2) & 0x33333333);
    count += Math.imul((word + (word >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
  }
  return count;
}

/** The places that are set, from the lowest. */
export function slotsOf(bits: Bits): number[] {
  const slots: number[] = [];
  for (const [index, word] of bits.entries()) {
    for (let rest = word; rest !== 0; rest &= rest - 1) slots.push(index * 32 + 31 - Math.clz32(rest & -rest));
  }
  return slots;
}

/** Leaves in `bits` what is in `others` too, or adds to it what is in them. */
export function combineBits(bits: Bits, others: Bits, how: 'and' | 'or'): void {
  for (let index = 0; index < WORDS; index++) {
    const [mine, theirs] = [bits[index] ?? 0, others[index] ?? 0];
    bits[index] = how === 'and' ? mine & theirs : mine | theirs;
  }
}
