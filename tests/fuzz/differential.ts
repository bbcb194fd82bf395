import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const INIT0 = join(import.meta.dirname, '../../packages/guest/init0');
const FLAGS = ['-std=gnu11', '-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'];
/** Streams that one run of the C program reads. */
const BATCH = 2000;

/** A parser of init0's, sanitized, that is asked for its verdict on the streams that another one has judged. */
export class CParser implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'vmlet-fuzz-'));
  readonly #binary = join(this.#folder, 'parser');
  readonly #args: readonly string[];
  #waiting: { stream: Buffer; verdict: string }[] = [];

  /** @param sources of `packages/guest/init0`; the program reads records of a length and a stream */
  constructor(sources: readonly string[], args: readonly string[] = []) {
    this.#args = args;
    const paths = sources.map((source) => join(INIT0, source));
    execFileSync('gcc', [...FLAGS, '-o', this.#binary, ...paths]);
  }

  /** Notes what the other parser says; throws now or at {@link compare} if this one says something else. */
  expect(stream: Buffer, verdict: string): void {
    this.#waiting.push({ stream: Buffer.from(stream), verdict });
    if (this.#waiting.length >= BATCH) this.compare();
  }

  compare(): void {
    const records = this.#waiting.flatMap(({ stream }) => [bigEndian(stream.length), stream]);
    if (records.length === 0) return;
    const input = Buffer.concat(records);
    const { stdout, stderr, status } = spawnSync(this.#binary, this.#args, {
      input,
      maxBuffer: 2 ** 28,
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`The C parser ended with ${status}: ${stderr}`);
    const verdicts = stdout.trimEnd().split('\n');
    for (const [index, { stream, verdict }] of this.#waiting.entries()) {
      // Behind the verdict stands what only C's own test compares.
      if (verdicts[index] === verdict || verdicts[index]?.startsWith(`${verdict} `)) continue;
      throw new Error(`C says "${verdicts[index]}", TypeScript "${verdict}": base64 ${stream.toString('base64')}`);
    }
    this.#waiting = [];
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function bigEndian(length: number): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(length);
  return head;
}
