import type { Place } from './node.ts';

/** Lines that are shown before and after the one that it is about. */
const LINES_AROUND = 1;
/** As much of a line as is shown. */
const MAX_SHOWN_LENGTH = 100;
/** Shown as one column: what moves a terminal's cursor or turns the direction of writing is not shown at all. */
const UNSHOWN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** A text of a recipe as it may be printed: each character that is none is a space. */
export function shownText(text: string): string {
  return text.replace(UNSHOWN, ' ');
}

/** The line of a place with those around it, and a caret below the column. */
export function frameOf({ source, line, column }: Place): string {
  const lines = source.text.split(/\r?\n/);
  const first = Math.max(1, line - LINES_AROUND);
  const last = Math.min(lines.length, line + LINES_AROUND);
  const width = String(last).length;
  const start = Math.max(0, column - MAX_SHOWN_LENGTH);
  const shown: string[] = [];
  for (let number = first; number <= last; number++) {
    const text = shownText((lines[number - 1] ?? '').slice(start, start + MAX_SHOWN_LENGTH)).trimEnd();
    shown.push(`${number === line ? '>' : ' '} ${String(number).padStart(width)} | ${text}`.trimEnd());
    if (number === line) shown.push(`  ${' '.repeat(width)} | ${' '.repeat(Math.max(0, column - 1 - start))}^`);
  }
  return shown.join('\n');
}
