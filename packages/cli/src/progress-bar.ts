import type { Output } from './output.ts';
import { formatBytes } from './terminal-text.ts';

const WIDTH_CHARS = 20;

/** How far bytes have come, as the detail of a step. It is drawn anew when there is a percent more to show. */
export class ProgressBar {
  readonly #output: Output;
  readonly #step: string;
  readonly #totalBytes: number | undefined;
  #doneBytes = 0;
  #shown = -1;

  /** @param totalBytes undefined where nobody knows how much there is */
  constructor(output: Output, { step, totalBytes }: { step: string; totalBytes: number | undefined }) {
    this.#output = output;
    this.#step = step;
    this.#totalBytes = totalBytes;
    output.step(step);
  }

  add(sizeBytes: number): void {
    this.#doneBytes += sizeBytes;
    const share = this.#totalBytes ? Math.min(1, this.#doneBytes / this.#totalBytes) : undefined;
    // Without a total each megabyte is news.
    const mark = share === undefined ? Math.floor(this.#doneBytes / 1e6) : Math.floor(share * 100);
    if (mark === this.#shown) return;
    this.#shown = mark;
    this.#output.step(this.#step, share === undefined ? formatBytes(this.#doneBytes) : this.#bar(share));
  }

  #bar(share: number): string {
    const filled = Math.round(share * WIDTH_CHARS);
    const bar = `[${'#'.repeat(filled)}${'-'.repeat(WIDTH_CHARS - filled)}]`;
    const total = formatBytes(this.#totalBytes ?? 0);
    return `${bar} ${Math.floor(share * 100)} %, ${formatBytes(this.#doneBytes)} of ${total}`;
  }
}
