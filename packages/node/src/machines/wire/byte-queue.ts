/** What a block holds, in bytes. */
const BLOCK_BYTES = 16 * 1024;

/**
 * Bytes that wait, in blocks. They are copied, so that what waits is as much memory as it has bytes (and a block),
 * however small the pieces are that it comes in, and however large the buffers that those are cut from.
 */
export class ByteQueue {
  readonly #blocks: Buffer[] = [];
  #last: Buffer = Buffer.alloc(0);
  #used = 0;

  get isEmpty(): boolean {
    return this.#blocks.length === 0 && this.#used === 0;
  }

  append(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      if (this.#used === this.#last.length) this.#begin();
      const copied = bytes.copy(this.#last, this.#used, at);
      this.#used += copied;
      at += copied;
    }
  }

  /** The bytes that have waited longest: one block, which is the caller's from now on. Empty if none waits. */
  shift(): Buffer {
    const first = this.#blocks.shift();
    if (first) return first;
    const rest = this.#last.subarray(0, this.#used);
    this.#last = Buffer.alloc(0);
    this.#used = 0;
    return rest;
  }

  clear(): void {
    this.#blocks.length = 0;
    this.#last = Buffer.alloc(0);
    this.#used = 0;
  }

  #begin(): void {
    if (this.#used > 0) this.#blocks.push(this.#last);
    this.#last = Buffer.allocUnsafe(BLOCK_BYTES);
    this.#used = 0;
  }
}
