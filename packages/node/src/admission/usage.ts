import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import { VmletError } from '../errors.ts';
import { writeFileAtomic } from '../store/index.ts';
import type { OwnerCaps } from './caps.ts';

const HOUR_MS = 3_600_000;
/** The hour is counted in pieces of this length: what was used leaves it piece by piece. */
const PIECE_MS = 5 * 60_000;
/** What may be lost of the count by a crash, in seconds of processor time of all owners together. */
const UNSAVED_CPU_SECONDS = 10;
/** Of the file on disk: far over what its owners in one hour come to. */
const MAX_USAGE_BYTES = 16 * 1024 * 1024;

const usageSchema = z.object({
  format: z.literal(1),
  cpu: z.record(z.string(), z.record(z.string(), z.number().nonnegative())),
});

export interface OwnerUsageOptions {
  /** Where processor time is kept over restarts. */
  path: string;
  capsOf: (owner: string) => OwnerCaps;
  onError: (error: unknown) => void;
  /** Milliseconds since 1970. */
  now?: () => number;
}

interface Running {
  machines: number;
  memoryMiB: number;
}

/** What each owner's machines take now, and took of the processors in the last hour. */
export class OwnerUsage implements AsyncDisposable {
  readonly #options: OwnerUsageOptions;
  readonly #running = new Map<string, Running>();
  /** Seconds of processor time, by owner and by piece of time. */
  readonly #cpu: Map<string, Map<number, number>>;
  #unsaved = 0;
  #saving: Promise<void> = Promise.resolve();

  private constructor(options: OwnerUsageOptions, cpu: Map<string, Map<number, number>>) {
    this.#options = options;
    this.#cpu = cpu;
  }

  /** Reads what was used before; a file that is damaged counts as none, and is told. */
  static async open(options: OwnerUsageOptions): Promise<OwnerUsage> {
    return new OwnerUsage(options, await read(options));
  }

  /**
   * Counts one more machine until disposed of.
   * @throws VmletError `OWNER_MACHINES_EXCEEDED`, `OWNER_MEMORY_EXCEEDED`
   */
  reserve(owner: string, memoryMiB: number): Disposable {
    const caps = this.#options.capsOf(owner);
    const running = this.#running.get(owner) ?? { machines: 0, memoryMiB: 0 };
    if (running.machines + 1 > caps.machines) {
      throw new VmletError('OWNER_MACHINES_EXCEEDED', { operands: { owner, max: caps.machines } });
    }
    if (running.memoryMiB + memoryMiB > caps.memoryMiB) {
      const operands = { owner, memoryMiB, usedMiB: running.memoryMiB, maxMiB: caps.memoryMiB };
      throw new VmletError('OWNER_MEMORY_EXCEEDED', { operands });
    }
    running.machines++;
    running.memoryMiB += memoryMiB;
    this.#running.set(owner, running);
    return {
      [Symbol.dispose]: () => {
        running.machines--;
        running.memoryMiB -= memoryMiB;
        if (running.machines === 0) this.#running.delete(owner);
      },
    };
  }

  /**
   * Passes if the owner has processor time left in this hour.
   * @throws VmletError `OWNER_CPU_EXCEEDED`, with the time until there is some again
   */
  mayUseCpu(owner: string): void {
    const { cpuSeconds } = this.#options.capsOf(owner);
    if (cpuSeconds === Number.POSITIVE_INFINITY) return;
    const pieces = this.#piecesOf(owner);
    const used = [...pieces.values()].reduce((sum, seconds) => sum + seconds, 0);
    if (used < cpuSeconds) return;
    const operands = { owner, used: Math.round(used), max: cpuSeconds };
    throw new VmletError('OWNER_CPU_EXCEEDED', {
      operands,
      retryAfterSeconds: this.#freeIn(pieces, used - cpuSeconds),
    });
  }

  /** Adds processor time that a machine of this owner has used. */
  charge(owner: string, cpuSeconds: number): void {
    if (!(cpuSeconds > 0)) return;
    const pieces = this.#piecesOf(owner);
    const piece = Math.floor(this.#nowMs() / PIECE_MS);
    pieces.set(piece, (pieces.get(piece) ?? 0) + cpuSeconds);
    this.#cpu.set(owner, pieces);
    this.#unsaved += cpuSeconds;
    if (this.#unsaved >= UNSAVED_CPU_SECONDS) void this.#save();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#save();
  }

  #nowMs(): number {
    return (this.#options.now ?? Date.now)();
  }

  /** Those within the hour; older ones are forgotten. */
  #piecesOf(owner: string): Map<number, number> {
    const pieces = this.#cpu.get(owner) ?? new Map<number, number>();
    const oldest = Math.floor((this.#nowMs() - HOUR_MS) / PIECE_MS);
    for (const piece of pieces.keys()) if (piece <= oldest) pieces.delete(piece);
    if (pieces.size === 0) this.#cpu.delete(owner);
    return pieces;
  }

  /** Seconds until enough of what was used is over an hour old. */
  #freeIn(pieces: Map<number, number>, over: number): number {
    let left = over;
    for (const [piece, seconds] of [...pieces].sort(([a], [b]) => a - b)) {
      left -= seconds;
      if (left < 0) return Math.max(1, Math.ceil(((piece + 1) * PIECE_MS + HOUR_MS - this.#nowMs()) / 1000));
    }
    return PIECE_MS / 1000;
  }

  #save(): Promise<void> {
    this.#unsaved = 0;
    this.#saving = this.#saving.then(async () => {
      for (const owner of [...this.#cpu.keys()]) this.#piecesOf(owner);
      const cpu = Object.fromEntries([...this.#cpu].map(([owner, pieces]) => [owner, Object.fromEntries(pieces)]));
      const bytes = Buffer.from(`${JSON.stringify({ format: 1, cpu })}\n`);
      try {
        await writeFileAtomic(this.#options.path, { bytes, mode: 0o600 });
      } catch (error) {
        // The count goes on in memory: a full disk must not stop machines.
        this.#options.onError(error);
      }
    });
    return this.#saving;
  }
}

async function read({ path, onError }: OwnerUsageOptions): Promise<Map<string, Map<number, number>>> {
  try {
    const bytes = await readFile(path);
    if (bytes.length > MAX_USAGE_BYTES) throw new RangeError(`Cannot read '${path}': ${bytes.length} bytes long`);
    const { cpu } = usageSchema.parse(JSON.parse(bytes.toString('utf8')));
    const pieces = (counted: Record<string, number>) =>
      new Map(Object.entries(counted).map(([piece, seconds]) => [Number(piece), seconds]));
    return new Map(Object.entries(cpu).map(([owner, counted]) => [owner, pieces(counted)]));
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) onError(error);
    return new Map();
  }
}
