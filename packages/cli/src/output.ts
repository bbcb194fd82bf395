import { once } from 'node:events';
import { Writable } from 'node:stream';
import pc from 'picocolors';
import type { Failure } from './failure.ts';
import { Progress } from './progress.ts';
import { clean } from './terminal-text.ts';

/** A stream of the process, or one that a test reads. */
export type OutputStream = Writable & { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number };

export type Colors = ReturnType<typeof pc.createColors>;

export interface OutputOptions {
  stdout: OutputStream;
  stderr: OutputStream;
  /** Machine-readable answers: JSON on stdout, errors as JSON on stderr. */
  json: boolean;
  /** False for --no-color and where NO_COLOR is set. */
  color: boolean;
}

const DEFAULT_COLUMNS = 80;
/** Cursor to the top, then all below it is cleared: less flicker than the other way round. */
const CLEAR_SCREEN = '\u001b[H\u001b[J';

/** The reader of stdout has gone: it has had enough, as `head` does, and nothing has failed. */
export class OutputClosed extends Error {
  override readonly name = 'OutputClosed';
}

/**
 * The only way out: stdout gets what was asked for and nothing else, stderr gets everything said beside it.
 * Colours appear on terminals only. Text from outside must have gone through `clean`.
 */
export class Output {
  readonly isJson: boolean;
  /** Whether stdout is a terminal. */
  readonly isTerminal: boolean;
  /** Colours for stdout. */
  readonly colors: Colors;
  readonly #stdout: OutputStream;
  readonly #stderr: OutputStream;
  readonly #stderrColors: Colors;
  readonly #progress: Progress;

  constructor({ stdout, stderr, json, color }: OutputOptions) {
    this.isJson = json;
    this.isTerminal = stdout.isTTY === true;
    this.#stdout = stdout;
    this.#stderr = stderr;
    this.colors = pc.createColors(color && !json && stdout.isTTY === true);
    this.#stderrColors = pc.createColors(color && !json && stderr.isTTY === true);
    this.#progress = new Progress({
      isTerminal: stderr.isTTY === true && !json,
      columns: stderr.columns || DEFAULT_COLUMNS,
      write: (text) => void stderr.write(text),
      dim: this.#stderrColors.dim,
    });
  }

  /** An output with the same answers and nothing said beside them, for what is done over and over. */
  quiet(): Output {
    const stderr = new Writable({ write: (_chunk, _encoding, done) => done() });
    return new Output({ stdout: this.#stdout, stderr, json: this.isJson, color: false });
  }

  /** A line of the answer. */
  line(text: string): void {
    this.#progress.end();
    this.#stdout.write(`${text}\n`);
  }

  /** Lines that take the place of those shown before, on a terminal; elsewhere they follow, after an empty line. */
  screen(lines: readonly string[], { isFirst }: { isFirst: boolean }): void {
    if (this.isTerminal) this.#stdout.write(CLEAR_SCREEN);
    else if (!isFirst) this.line('');
    for (const text of lines) this.line(text);
  }

  /** The answer as JSON, on one line. */
  json(value: unknown): void {
    this.line(JSON.stringify(value));
  }

  /** Bytes of the answer as they are, no faster than the reader takes them. */
  async bytes(chunk: Uint8Array | string, signal: AbortSignal): Promise<void> {
    this.#progress.end();
    if (!this.#stdout.write(chunk)) await once(this.#stdout, 'drain', { signal });
  }

  /** Bytes said beside the answer, as they are, no faster than the reader takes them. */
  async besideBytes(chunk: Uint8Array, signal: AbortSignal): Promise<void> {
    this.#progress.end();
    if (!this.#stderr.write(chunk)) await once(this.#stderr, 'drain', { signal });
  }

  /** Rows and columns of the terminal that stdout is; undefined if it is none. */
  get size(): { rows: number; columns: number } | undefined {
    const { rows, columns } = this.#stdout;
    return this.isTerminal && rows && columns ? { rows, columns } : undefined;
  }

  /** Tells of each change of that size, until it is disposed of. */
  onResize(listener: () => void): Disposable {
    this.#stdout.on('resize', listener);
    return { [Symbol.dispose]: () => void this.#stdout.off('resize', listener) };
  }

  /** Something worth knowing that was not asked for. */
  note(text: string): void {
    this.#progress.end();
    this.#stderr.write(`${text}\n`);
  }

  /** Something to be careful about. */
  warn(text: string): void {
    this.note(`${this.#stderrColors.yellow('warning:')} ${text}`);
  }

  /** A question without a line break; the answer is for the caller to read. */
  prompt(text: string): void {
    this.#progress.end();
    this.#stderr.write(text);
  }

  /** The step under way. */
  step(text: string, detail?: string): void {
    this.#progress.step(text, detail);
  }

  /** Ends the progress line, where there is one. */
  settle(): void {
    this.#progress.end();
  }

  /** The last words: in JSON the last line on stderr, else `error:` and `next:` below what is known in detail. */
  failure(failure: Failure): void {
    this.#progress.end();
    if (this.isJson) {
      this.#stderr.write(`${JSON.stringify({ error: failure })}\n`);
      return;
    }
    const { red, dim } = this.#stderrColors;
    const detail = failure.detail === undefined ? [] : clean(failure.detail).trimEnd().split('\n');
    for (const line of detail) this.#stderr.write(`${dim(`  | ${line}`)}\n`);
    this.#stderr.write(`${red('error:')} ${clean(failure.cause)}\n  next: ${clean(failure.next)}\n`);
  }
}
