import type { Output } from '../output.ts';
import { formatMs, formatTable } from '../terminal-text.ts';

/** How long a request took, in milliseconds, as the client sees it, and what the node says of it. */
export interface Timing {
  /** Until the head of the answer. */
  readonly headMs: number;
  /** Until the end of its body. */
  readonly totalMs: number;
  /** The phases of a cold start, in their order; empty where no machine had to wake. */
  readonly phases: Readonly<Record<string, number>>;
}

/** Reads a Server-Timing header: `name;dur=12.3, ...`, durations in milliseconds. What has none is left out. */
export function parseServerTiming(value: string | readonly string[] | undefined): Record<string, number> {
  const text = typeof value === 'string' ? value : (value ?? []).join(',');
  const phases: Record<string, number> = {};
  for (const [, name = '', ms] of text.matchAll(/([\w-]+)\s*;[^,]*?\bdur=([\d.]+)/g)) phases[name] = Number(ms);
  return phases;
}

/** Prints the times on stderr. */
export function showTiming({ headMs, totalMs, phases }: Timing, output: Output): void {
  // The total is told as this side sees it.
  const steps = Object.entries(phases).filter(([name]) => name !== 'total');
  const rows = steps.map(([name, ms]) => [`  ${name}`, formatMs(ms)]);
  const lines = formatTable([['first byte', formatMs(headMs)], ...rows, ['total', formatMs(totalMs)]]);
  for (const line of lines) output.note(line);
}
