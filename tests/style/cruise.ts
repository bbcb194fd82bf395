import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** The root of this repository. */
export const ROOT = join(import.meta.dirname, '../..');

/** One import that a rule forbids. */
export interface Violation {
  rule: string;
  from: string;
  to: string;
}

/** Holds the tree at `root` to the rules in its `.dependency-cruiser.js`, as `npm run check:parts` does. */
export function cruise(root: string): Violation[] {
  const program = join(ROOT, 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs');
  const args = [program, '--config', '.dependency-cruiser.js', '--output-type', 'json', 'packages', 'tests', 'bench'];
  const printed = execFileSync(process.execPath, args, { cwd: root, maxBuffer: 256 * 1024 * 1024, encoding: 'utf8' });
  const { summary } = JSON.parse(printed) as { summary: CruiseSummary };
  if (summary.totalCruised === 0) throw new Error(`Cannot check the parts: no module found in "${root}"`);
  return summary.violations.map(({ rule, from, to }) => ({ rule: rule.name, from, to }));
}

interface CruiseSummary {
  totalCruised: number;
  violations: Array<{ rule: { name: string }; from: string; to: string }>;
}
