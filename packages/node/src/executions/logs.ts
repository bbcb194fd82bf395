import { appendFile, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ItemHash } from '@vmlet/messages';

/** A log file is put aside as `.1` when it is this long, and the one before that is dropped. In bytes. */
const ROTATE_BYTES = 4 * 1024 * 1024;
/** What may wait to be written for one program; a program that prints faster loses lines, and is told so. In bytes. */
const PENDING_BYTES = 1024 * 1024;
/** Lines of output that are kept in a second, and at once after a silence: a flood must cost the node little. */
const LINES_PER_SECOND = 10_000;
const MAX_LINE_CHARS = 16 * 1024;
const FILE_NAME = 'program.ndjson';

/** One line: of the program's own output, or what the platform says of its start and end. */
export interface LogEntry {
  /** Milliseconds since 1970, by the guest's clock for its own lines. */
  timeMs: number;
  stream: 'stdout' | 'stderr' | 'platform';
  text: string;
}

/**
 * The logs of one program: appended to in order, kept within bounds, followed live. Writing never fails a program; what
 * could not be written is told in the log itself as soon as it can be.
 */
export class ProgramLog {
  readonly #folder: string;
  readonly #followers = new Set<(entry: LogEntry) => void>();
  readonly #partial = new Map<LogEntry['stream'], string>();
  #pending: string[] = [];
  #pendingBytes = 0;
  #dropped = 0;
  #allowedLines = LINES_PER_SECOND;
  #allowedAtMs = performance.now();
  #unwritten: { lines: number; error: Error } | undefined;
  /** Reads and writes of the files, one after the other: none of them sees a file half written or half rotated. */
  #last: Promise<unknown> = Promise.resolve();
  #writeQueued = false;
  /** The file may end within a line, which a killed process or a full disk has left. */
  #torn = true;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The last failure to write, until a write succeeds. */
  get writeError(): Error | undefined {
    return this.#unwritten?.error;
  }

  /** Adds output as it was read; lines are put together again. */
  output(stream: 'stdout' | 'stderr', text: string, timeMs: number): void {
    const lines = ((this.#partial.get(stream) ?? '') + text).split('\n');
    const cut = (line: string) => {
      let rest = line;
      for (; rest.length > MAX_LINE_CHARS; rest = rest.slice(MAX_LINE_CHARS)) {
        this.#add({ timeMs, stream, text: rest.slice(0, MAX_LINE_CHARS) });
      }
      return rest;
    };
    const unfinished = lines.pop() ?? '';
    for (const line of lines) this.#add({ timeMs, stream, text: cut(line) });
    this.#partial.set(stream, cut(unfinished));
  }

  /** Adds a line of the platform's own, after what the program has left unfinished. */
  platform(text: string): void {
    this.endLines();
    for (const line of text.split('\n')) this.#add({ timeMs: Date.now(), stream: 'platform', text: line });
  }

  /** Ends lines that have no end yet; for a machine that is gone. */
  endLines(): void {
    for (const [stream, text] of this.#partial) if (text !== '') this.#add({ timeMs: Date.now(), stream, text });
    this.#partial.clear();
  }

  /**
   * The last lines, oldest first.
   * @param follow is called from then on with each later line, until `unfollow`: none is missed, none comes twice. It
   *   MUST NOT throw
   */
  tail(lines: number, follow?: (entry: LogEntry) => void): Promise<LogEntry[]> {
    return this.#inOrder(async () => {
      const pending = [...this.#pending];
      const later: LogEntry[] = [];
      const hold = (entry: LogEntry) => later.push(entry);
      if (follow) this.#followers.add(hold);
      try {
        const paths = [`${FILE_NAME}.1`, FILE_NAME].map((name) => join(this.#folder, name));
        const texts = await Promise.all(paths.map(readIfExists));
        const entries = [...texts.join('\n').split('\n'), ...pending].flatMap(parseLine);
        if (follow) this.#followers.add(follow);
        return [...(lines > 0 ? entries.slice(-lines) : []), ...later];
      } finally {
        this.#followers.delete(hold);
      }
    });
  }

  /** Calls `listener` with each line from now on; it MUST NOT throw. The answer ends it. */
  follow(listener: (entry: LogEntry) => void): () => void {
    this.#followers.add(listener);
    return () => this.unfollow(listener);
  }

  /** Ends following. */
  unfollow(listener: (entry: LogEntry) => void): void {
    this.#followers.delete(listener);
  }

  /** Waits until all that was added before is in the file, or failed to get there. */
  async flushed(): Promise<void> {
    await this.#inOrder(async () => {});
  }

  #add(entry: LogEntry): void {
    if (entry.stream !== 'platform' && !this.#isAllowed()) {
      this.#dropped++;
      return;
    }
    for (const follower of this.#followers) this.#tell(follower, entry);
    const line = `${JSON.stringify(entry)}\n`;
    const sizeBytes = Buffer.byteLength(line);
    if (this.#pendingBytes + sizeBytes > PENDING_BYTES) {
      this.#dropped++;
      return;
    }
    this.#pending.push(line);
    this.#pendingBytes += sizeBytes;
    if (this.#writeQueued) return;
    this.#writeQueued = true;
    void this.#inOrder(() => this.#write());
  }

  /** The clock is looked at only where lines come faster than they may. */
  #isAllowed(): boolean {
    if (this.#allowedLines < 1) {
      const nowMs = performance.now();
      const more = ((nowMs - this.#allowedAtMs) / 1000) * LINES_PER_SECOND;
      this.#allowedLines = Math.min(LINES_PER_SECOND, this.#allowedLines + more);
      this.#allowedAtMs = nowMs;
    }
    if (this.#allowedLines < 1) return false;
    this.#allowedLines--;
    return true;
  }

  /** A follower that fails is let go: it must cost neither the machine nor the other followers. */
  #tell(follower: (entry: LogEntry) => void, entry: LogEntry): void {
    try {
      follower(entry);
    } catch {
      this.#followers.delete(follower);
    }
  }

  #inOrder<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#last.then(task);
    // Whoever asked for the task is told of its failure; the next one runs all the same.
    this.#last = done.catch(() => {});
    return done;
  }

  /** Writes what is pending. Never rejects. */
  async #write(): Promise<void> {
    const lines = this.#pending;
    const notes = [
      this.#dropped > 0 && noteLine(`${this.#dropped} lines were dropped: they came faster than they are kept`),
      this.#unwritten && noteLine(`${this.#unwritten.lines} lines were lost: ${this.#unwritten.error.message}`),
    ].filter((note) => note !== false && note !== undefined);
    this.#writeQueued = false;
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#dropped = 0;
    try {
      await this.#append(`${this.#torn ? '\n' : ''}${lines.join('')}${notes.join('')}`);
      this.#torn = false;
      this.#unwritten = undefined;
    } catch (cause) {
      this.#torn = true;
      const error = cause instanceof Error ? cause : new Error(String(cause));
      this.#unwritten = { lines: (this.#unwritten?.lines ?? 0) + lines.length, error };
    }
  }

  async #append(text: string): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const path = join(this.#folder, FILE_NAME);
    await appendFile(path, text, { mode: 0o600 });
    if ((await stat(path)).size > ROTATE_BYTES) await rename(path, `${path}.1`);
  }
}

/** The logs of all programs of a home. */
export class ProgramLogs {
  readonly #folder: string;
  readonly #logs = new Map<ItemHash, ProgramLog>();

  /** @param folder holds a folder for each program */
  constructor(folder: string) {
    this.#folder = folder;
  }

  of(itemHash: ItemHash): ProgramLog {
    const known = this.#logs.get(itemHash) ?? new ProgramLog(join(this.#folder, itemHash));
    this.#logs.set(itemHash, known);
    return known;
  }

  /** Removes a program's log for good. */
  async remove(itemHash: ItemHash): Promise<void> {
    await this.#logs.get(itemHash)?.flushed();
    this.#logs.delete(itemHash);
    await rm(join(this.#folder, itemHash), { recursive: true, force: true });
  }

  async flushed(): Promise<void> {
    await Promise.all([...this.#logs.values()].map((log) => log.flushed()));
  }
}

function noteLine(text: string): string {
  return `${JSON.stringify({ timeMs: Date.now(), stream: 'platform', text } satisfies LogEntry)}\n`;
}

/** A line that a killed process or a full disk has cut is left out. */
function parseLine(line: string): LogEntry[] {
  try {
    return line.trim() === '' ? [] : [JSON.parse(line)];
  } catch {
    return [];
  }
}

async function readIfExists(path: string): Promise<string> {
  try {
    await using file = await open(path, 'r');
    return await file.readFile('utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}
