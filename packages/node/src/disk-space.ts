import { statfs } from 'node:fs/promises';
import { VmletError } from './errors.ts';

const MIB = 1024 * 1024;
/** Of the file system, unless that is larger. */
const DEFAULT_MIN_FREE_BYTES = 1024 * MIB;
const DEFAULT_MIN_FREE_PERCENT = 5;
/** A look at the file system serves all who ask within this time, in milliseconds. */
const LOOK_MS = 200;

/** What a file system has, in bytes. */
export interface DiskFacts {
  readonly freeBytes: number;
  /** With less than this free nothing new is taken. */
  readonly minFreeBytes: number;
}

/**
 * Keeps a part of a folder's file system free: below that nothing new is taken, while the node still can write what it
 * needs to go on. Reading, running and removing are never refused.
 */
export class DiskSpace {
  readonly #folder: string;
  readonly #minFreeBytes: number | undefined;
  #looked: { atMs: number; facts: Promise<DiskFacts> } | undefined;

  /** @param options `minFreeBytes`: by default 1 GiB, or 5 % of a file system that is smaller than 20 GiB; 0 for none */
  constructor(folder: string, { minFreeBytes }: { minFreeBytes?: number | undefined } = {}) {
    this.#folder = folder;
    this.#minFreeBytes = minFreeBytes;
  }

  /** @throws the system call's error */
  facts(): Promise<DiskFacts> {
    const nowMs = performance.now();
    if (this.#looked === undefined || nowMs - this.#looked.atMs > LOOK_MS) {
      this.#looked = { atMs: nowMs, facts: this.#look() };
    }
    return this.#looked.facts;
  }

  /**
   * Passes if so many bytes more may be taken.
   * @throws VmletError `DISK_LOW`
   */
  async require(bytes = 0): Promise<void> {
    const { freeBytes, minFreeBytes } = await this.facts();
    if (freeBytes - bytes >= minFreeBytes) return;
    const mib = (value: number) => Math.floor(value / MIB);
    const operands = { sizeBytes: bytes, freeMiB: mib(freeBytes), minFreeMiB: mib(minFreeBytes) };
    throw new VmletError('DISK_LOW', { operands });
  }

  async #look(): Promise<DiskFacts> {
    const { bavail, blocks, bsize } = await statfs(this.#folder);
    const share = (blocks * bsize * DEFAULT_MIN_FREE_PERCENT) / 100;
    return {
      freeBytes: bavail * bsize,
      minFreeBytes: this.#minFreeBytes ?? Math.min(DEFAULT_MIN_FREE_BYTES, share),
    };
  }
}
