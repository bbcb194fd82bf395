import { read } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { RandomAccessReader } from 'yauzl';

/** What is read of a member at once, in bytes. */
const CHUNK_BYTES = 64 * 1024;

/**
 * What yauzl reads a zip by. It asks for whatever place an archive names, and Node.js throws at some of them where nobody
 * can catch it: here a place beyond the file is an error like any other.
 */
export class BoundedReader extends RandomAccessReader {
  readonly #file: FileHandle;
  readonly #sizeBytes: number;

  /** @param file stays the caller's to close */
  constructor(file: FileHandle, sizeBytes: number) {
    super();
    this.#file = file;
    this.#sizeBytes = sizeBytes;
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null, bytesRead?: number) => void,
  ): void {
    if (!this.#holds(position, length)) {
      setImmediate(callback, beyond());
      return;
    }
    read(this.#file.fd, buffer, offset, length, position, callback);
  }

  override _readStreamForRange(start: number, end: number): Readable {
    if (!this.#holds(start, end - start)) return Readable.from(failing());
    return Readable.from(this.#chunks(start, end));
  }

  /** Not a stream of the file: that closes it when it is destroyed, whatever it was told. */
  async *#chunks(start: number, end: number): AsyncGenerator<Buffer> {
    for (let at = start; at < end; ) {
      const room = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, end - at));
      const { bytesRead } = await this.#file.read(room, 0, room.length, at);
      if (bytesRead === 0) return;
      yield room.subarray(0, bytesRead);
      at += bytesRead;
    }
  }

  #holds(start: number, length: number): boolean {
    return start >= 0 && length >= 0 && start + length <= this.#sizeBytes;
  }
}

function beyond(): Error {
  return new Error('it names a place beyond its end');
}

// biome-ignore lint/correctness/useYield: a stream that fails before it gives anything
async function* failing(): AsyncGenerator<Buffer> {
  throw beyond();
}
