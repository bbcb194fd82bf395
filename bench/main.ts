import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { benchAgainst } from './against.ts';
import { benchBoot } from './boot.ts';
import { overBudget } from './budgets.ts';
import { benchImages } from './images.ts';
import { benchNetwork } from './network.ts';
import type { Part, PartResult } from './part.ts';
import { benchStarts } from './starts.ts';

const PARTS: Record<string, Part> = {
  boot: benchBoot,
  starts: benchStarts,
  network: benchNetwork,
  images: benchImages,
};

const USAGE = `usage: npm run bench -- PART [--runs N] [--json] [--check] [--only ROW,...] [--against COMMIT] [--messages N]
--check: exit with 1 when a figure is over what is promised of it
--only: measure these rows (parts starts and images), or groups of rows (part network)
--against: measure another commit in turn with this tree, and print the difference (part starts)
--messages: how many messages lists are read from; 1000000 unless given (part network)
parts: ${Object.keys(PARTS).join(', ')}
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '10' },
    json: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
    messages: { type: 'string', default: '1000000' },
    only: { type: 'string' },
    against: { type: 'string' },
  },
});
const name = positionals[0] ?? '';
const part = PARTS[name];
const runs = Number(values.runs);
const { against } = values;
const messages = Number(values.messages);
const isMisused =
  (name === 'boot' && values.only !== undefined) ||
  (name !== 'starts' && against !== undefined) ||
  !Number.isInteger(messages) ||
  messages < 1000;
if (!part || isMisused || !Number.isInteger(runs) || runs < 1) {
  process.stderr.write(USAGE);
  process.exit(2);
}

const only = values.only?.split(',');
const options = {
  runs,
  messages,
  tell: (text: string) => process.stderr.write(`bench: ${text}\n`),
  isWanted: (row: string) => only?.includes(row) ?? true,
};
const result = await (against === undefined ? part(options) : benchAgainst(against, options));
const host = `${cpus().length} x ${cpus()[0]?.model.trim() ?? 'unknown'}`;
if (values.json) process.stdout.write(`${JSON.stringify({ part: name, ...result, host })}\n`);
else print(result);
if (values.check) {
  const faults = overBudget(result);
  for (const fault of faults) process.stderr.write(`bench: over budget: ${fault}\n`);
  if (faults.length > 0) process.exitCode = 1;
}

function print({ backend, rows, ratios, differences = {} }: PartResult): void {
  process.stdout.write(`${name} on ${backend}, ${host}\n`);
  const width = Math.max(...rows.map((row) => row.name.length));
  for (const { name: row, unit, n, p50, p95 } of rows) {
    process.stdout.write(
      `${row.padEnd(width)} p50 ${String(p50).padStart(8)} ${unit}  p95 ${String(p95).padStart(8)}  n ${n}\n`,
    );
  }
  for (const [ratio, value] of Object.entries(ratios)) process.stdout.write(`${ratio}: ${value}\n`);
  for (const [row, { value, low, high, p }] of Object.entries(differences)) {
    process.stdout.write(`${row}: this tree ${value > 0 ? '+' : ''}${value} (95 % from ${low} to ${high}, p ${p})\n`);
  }
}
