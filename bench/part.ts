import type { Difference, Row } from './stats.ts';

export interface PartOptions {
  /** Samples of each row. */
  runs: number;
  /** Messages in the ledger that lists are read from. */
  messages: number;
  /** Says how far it is. */
  tell: (text: string) => void;
  /** Whether a row is to be measured; parts that cannot leave rows out measure all. */
  isWanted: (row: string) => boolean;
}

/** What a part of the bench gives. */
export interface PartResult {
  backend: string;
  rows: Row[];
  ratios: Record<string, number>;
  /** This commit compared with another, by row. */
  differences?: Record<string, Difference>;
}

export type Part = (options: PartOptions) => Promise<PartResult>;

/** The medians of pairs of rows, divided; pairs with a row that is not there are left out. */
export function ratiosOf(rows: readonly Row[], pairs: readonly (readonly [string, string])[]): Record<string, number> {
  const median = (name: string) => rows.find((row) => row.name === name)?.p50;
  const ratios: Record<string, number> = {};
  for (const [above, below] of pairs) {
    const [a, b] = [median(above), median(below)];
    if (a !== undefined && b !== undefined) ratios[`${above}/${below}`] = Number((a / b).toPrecision(3));
  }
  return ratios;
}
