/** Reads a stream in pieces of known length, and holds no more of it than its last chunk. */
export class ByteReader {
  readonly #source: AsyncIterator<Buffer>;
  #chunk: Buffer = Buffer.alloc(0);
  #position = 0;

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** How many bytes were taken so far. */
  get position(): number {
    return this.#position;
  }

  /** At most so many bytes, those that are there already; empty at the end. */
  async some(mostBytes: number): Promise<Buffer> {
    while (this.#chunk.length === 0) {
      const next = await this.#source.next();
      if (next.done) return this.#chunk;
      this.#chunk = next.value;
    }
    const taken = this.#chunk.subarray(0, mostBytes);
    this.#chunk = this.#chunk.subarray(taken.length);
    this.#position += taken.length;
    return taken;
  }

  /** So many bytes, fewer only at the end. */
  async take(bytes: number): Promise<Buffer> {
    const first = await this.some(bytes);
    if (first.length === bytes) return first;
    const parts = [first];
    for (let left = bytes - first.length; left > 0; ) {
      const part = await this.some(left);
      if (part.length === 0) break;
      parts.push(part);
      left -= part.length;
    }
    return Buffer.concat(parts);
  }

  /** Passes over so many bytes. @returns false at the end */
  async skip(bytes: number): Promise<boolean> {
    for (let left = bytes; left > 0; ) {
      const part = await this.some(left);
      if (part.length === 0) return false;
      left -= part.length;
    }
    return true;
  }

  /** Ends the stream, whatever is left of it. */
  async close(): Promise<void> {
    await this.#source.return?.();
  }
}
