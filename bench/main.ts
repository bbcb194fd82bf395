import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { benchBoot, type PartResult } from './boot.ts';
import { overBudget } from './budgets.ts';

type Part = (options: { runs: number; tell: (text: string) => void }) => Promise<PartResult>;

const PARTS: Record<string, Part> = { boot: benchBoot };

const USAGE = `usage: npm run bench -- PART [--runs N] [--json] [--check]
--check: exit with 1 when a median is over what is promised of it
parts: ${Object.keys(PARTS).join(', ')}
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '10' },
    json: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
  },
});
const name = positionals[0] ?? '';
const part = PARTS[name];
const runs = Number(values.runs);
if (!part || !Number.isInteger(runs) || runs < 1) {
  process.stderr.write(USAGE);
  process.exit(2);
}

const result = await part({ runs, tell: (text) => process.stderr.write(`bench: ${text}\n`) });
const host = `${cpus().length} x ${cpus()[0]?.model.trim() ?? 'unknown'}`;
if (values.json) {
  process.stdout.write(`${JSON.stringify({ part: name, ...result, host })}\n`);
} else {
  process.stdout.write(`${name} on ${result.backend}, ${host}\n`);
  for (const { name: row, unit, n, p50, p95 } of result.rows) {
    process.stdout.write(
      `${row.padEnd(20)} p50 ${String(p50).padStart(8)} ${unit}  p95 ${String(p95).padStart(8)}  n ${n}\n`,
    );
  }
  for (const [ratio, value] of Object.entries(result.ratios)) process.stdout.write(`${ratio}: ${value}\n`);
}
if (values.check) {
  const faults = overBudget(result.rows);
  for (const fault of faults) process.stderr.write(`bench: over budget: ${fault}\n`);
  if (faults.length > 0) process.exitCode = 1;
}
