import { EventEmitter } from 'node:events';
import { appendFile, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ItemHash } from '@vmlet/messages';

/** A log file is put aside as `.1` when it is this long, and the one before that is dropped. In bytes. */
const ROTATE_BYTES = 4 * 1024 * 1024;
/** What may wait to be written for one program; a program that prints faster loses lines, and is told so. In bytes. */
const PENDING_BYTES = 1024 * 1024;
const MAX_LINE_CHARS = 16 * 1024;
const FILE_NAME = 'program.ndjson';

/** One line: of the program's own output, or what the platform says of its start and end. */
export interface LogEntry {
  /** Milliseconds since 1970, by the guest's clock for its own lines. */
  timeMs: number;
  stream: 'stdout' | 'stderr' | 'platform';
  text: string;
}

/** The logs of one program: appended to in order, kept within bounds, followed live. */
export class ProgramLog {
  readonly #folder: string;
  readonly #followers = new EventEmitter<{ entry: [LogEntry] }>();
  readonly #partial = new Map<LogEntry['stream'], string>();
  #pending: string[] = [];
  #pendingBytes = 0;
  #dropped = 0;
  #writing: Promise<void> | undefined;
  /** The last failure to write; a log never fails a request, but the owner is told. */
  writeError: Error | undefined;

  constructor(folder: string) {
    this.#folder = folder;
    this.#followers.setMaxListeners(0);
  }

  /** Adds output as it was read; lines are put together again. */
  output(stream: 'stdout' | 'stderr', text: string, timeMs: number): void {
    const lines = ((this.#partial.get(stream) ?? '') + text).split('\n');
    let rest = lines.pop() ?? '';
    for (const line of lines) this.#add({ timeMs, stream, text: line });
    for (; rest.length > MAX_LINE_CHARS; rest = rest.slice(MAX_LINE_CHARS)) {
      this.#add({ timeMs, stream, text: rest.slice(0, MAX_LINE_CHARS) });
    }
    this.#partial.set(stream, rest);
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

  /** The last lines, oldest first. */
  async tail(lines: number): Promise<LogEntry[]> {
    await this.flushed();
    const texts = await Promise.all(
      [`${FILE_NAME}.1`, FILE_NAME].map((name) => readIfExists(join(this.#folder, name))),
    );
    return texts
      .join('')
      .split('\n')
      .filter((line) => line !== '')
      .slice(-lines)
      .map((line) => JSON.parse(line));
  }

  /** Calls `listener` with each line from now on. The answer ends it. */
  follow(listener: (entry: LogEntry) => void): () => void {
    this.#followers.on('entry', listener);
    return () => this.#followers.off('entry', listener);
  }

  /** Waits until all that was added is in the file. */
  async flushed(): Promise<void> {
    while (this.#writing) await this.#writing;
  }

  #add(entry: LogEntry): void {
    this.#followers.emit('entry', entry);
    const line = `${JSON.stringify(entry)}\n`;
    if (this.#pendingBytes + line.length > PENDING_BYTES) {
      this.#dropped++;
      return;
    }
    this.#pending.push(line);
    this.#pendingBytes += line.length;
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
  }

  async #write(): Promise<void> {
    while (this.#pending.length > 0) {
      const batch = this.#pending.join('');
      const dropped = this.#dropped;
      this.#pending = [];
      this.#pendingBytes = 0;
      this.#dropped = 0;
      try {
        await this.#append(dropped > 0 ? `${batch}${droppedLine(dropped)}` : batch);
        this.writeError = undefined;
      } catch (error) {
        this.writeError = error instanceof Error ? error : new Error(String(error));
      }
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

function droppedLine(lines: number): string {
  const text = `${lines} lines were dropped: the program prints faster than they can be written`;
  return `${JSON.stringify({ timeMs: Date.now(), stream: 'platform', text } satisfies LogEntry)}\n`;
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
