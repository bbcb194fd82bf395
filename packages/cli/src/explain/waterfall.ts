import type { Start } from '../client/owner-starts.ts';
import type { Colors } from '../output.ts';
import { cleanLine, formatMs } from '../terminal-text.ts';

/** A bar is no narrower, whatever the terminal is; and no wider, so that the eye finds its line. */
const BAR = { min: 10, max: 60 };

export interface WaterfallOptions {
  /** Of the terminal, or of a page. */
  columns: number;
  /** Whether the reader shows block characters. */
  isTerminal: boolean;
  colors: Colors;
}

/** The steps of a start, one a line: its name, how long it took, and a bar from where it began to where it ended. */
export function waterfall({ steps, totalMs }: Start, options: WaterfallOptions): string[] {
  const { columns, isTerminal, colors } = options;
  const rows = steps.map(({ name, ms }) => ({ label: labelOf(name), time: formatMs(ms), ms }));
  const total = { label: 'total', time: formatMs(totalMs) };
  const labelChars = Math.max(...[...rows, total].map(({ label }) => label.length));
  const timeChars = Math.max(...[...rows, total].map(({ time }) => time.length));
  const head = ({ label, time }: { label: string; time: string }) =>
    `${label.padEnd(labelChars)}  ${time.padStart(timeChars)}`;
  const room = columns - labelChars - timeChars - 4;
  const width = Math.min(BAR.max, Math.max(BAR.min, room));
  const block = isTerminal ? '█' : '#';
  const longestMs = Math.max(...rows.map(({ ms }) => ms));
  const at = (ms: number) => (totalMs > 0 ? Math.min(width, Math.round((ms / totalMs) * width)) : 0);
  let beforeMs = 0;
  const lines = rows.map((row) => {
    // What took no time still has a mark, at the edge too.
    const start = Math.min(width - 1, at(beforeMs));
    beforeMs += row.ms;
    const end = Math.max(start + 1, at(beforeMs));
    const bar = block.repeat(end - start);
    return `${head(row)}  ${' '.repeat(start)}${row.ms === longestMs ? colors.yellow(bar) : colors.cyan(bar)}`;
  });
  return [...lines, colors.bold(head(total))];
}

/** `app` is what the node calls the time that the program takes. */
function labelOf(name: string): string {
  return name === 'app' ? 'first byte' : cleanLine(name);
}
