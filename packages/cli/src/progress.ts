import { cleanLine, formatMs } from './terminal-text.ts';

/** Where progress is shown. */
export interface ProgressTarget {
  /** A terminal shows one line that is drawn again; anything else gets one plain line for each step. */
  readonly isTerminal: boolean;
  /** Width of the terminal in characters. */
  readonly columns: number;
  write(text: string): void;
  dim(text: string): string;
}

/** A step that took less is not worth a figure, in milliseconds. */
const NOTICEABLE_MS = 500;
const CLEAR_LINE = '\r\u001b[2K';

/** The step that is under way. Nothing here ticks: the line is drawn when there is news. */
export class Progress {
  readonly #target: ProgressTarget;
  #current: { text: string; startedMs: number } | undefined;

  constructor(target: ProgressTarget) {
    this.#target = target;
  }

  /** Begins a step, ending the one before; the same text again is news of the same step. */
  step(text: string, detail?: string): void {
    const isNew = this.#current?.text !== text;
    if (isNew) {
      this.end();
      this.#current = { text, startedMs: performance.now() };
    }
    if (this.#target.isTerminal) this.#draw(text, detail);
    else if (isNew) this.#target.write(`${cleanLine(text)}\n`);
  }

  /** Ends the step under way, leaving its line with the time it took. */
  end(): void {
    const { text } = this.#current ?? {};
    if (text === undefined) return;
    const elapsed = this.#elapsed();
    this.#current = undefined;
    if (!this.#target.isTerminal) return;
    this.#target.write(`${CLEAR_LINE}${cleanLine(text)}${elapsed === '' ? '' : this.#target.dim(elapsed)}\n`);
  }

  #draw(text: string, detail: string | undefined): void {
    const { dim, columns } = this.#target;
    const shown = cleanLine(text);
    const rest = `${this.#elapsed()}${detail === undefined ? '' : ` · ${cleanLine(detail)}`}`;
    const room = Math.max(0, columns - 1 - shown.length);
    this.#target.write(
      `${CLEAR_LINE}${shown.slice(0, Math.max(1, columns - 1))}${rest === '' ? '' : dim(rest.slice(0, room))}`,
    );
  }

  #elapsed(): string {
    const ms = performance.now() - (this.#current?.startedMs ?? performance.now());
    return ms < NOTICEABLE_MS ? '' : ` ${formatMs(ms)}`;
  }
}
