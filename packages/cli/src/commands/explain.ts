import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import { type Start, type Starts, startsOf } from '../client/owner-starts.ts';
import { pickProgram } from '../client/pick-program.ts';
import type { Context } from '../context.ts';
import { waterfall } from '../explain/waterfall.ts';
import type { Output } from '../output.ts';
import { cleanLine, formatAge, formatMs, formatTable } from '../terminal-text.ts';

const PAGE_COLUMNS = 80;

/** What a machine was made from, as it is told to people. */
const MADE_FROM: Readonly<Record<string, string>> = {
  paused: 'its paused machine',
  spare: 'a spare machine',
  program: 'its snapshot',
  runtime: "the runtime's snapshot",
  boot: 'nothing (a full boot)',
};

/** `vmlet explain`. */
export function registerExplain({ program, run }: Cli): void {
  const command = program
    .command('explain')
    .summary('show where the time of a cold start goes')
    .description(
      'Shows the last start of a machine of a program, step by step, from the request that waited for it to the first ' +
        'byte of its answer; what the machine was made from; and what would make it faster. The node remembers the last ' +
        'eight starts of a program, until it ends.',
    )
    .argument('<program>', 'name, item_hash, or its first 6 characters or more');
  addExamples(command, [
    ['vmlet explain hello', 'a bar for each step'],
    [`vmlet explain hello --json | jq '.starts[0].steps'`, 'for other programs'],
  ]);
  command.action(async (wanted: string, _options: unknown, self: Command) => {
    await run(self, (context) => explain(wanted, context));
  });
}

async function explain(wanted: string, context: Context): Promise<undefined> {
  const { output, signal } = context;
  const { owner, program, shown } = await pickProgram(wanted, context, 'explain a start');
  const found = await startsOf(owner, program.itemHash, signal);
  if (output.isJson) output.json({ name: shown, ...found });
  else show(found, { output, shown: cleanLine(shown), nowMs: Date.now() });
}

interface Showing {
  output: Output;
  shown: string;
  nowMs: number;
}

function show({ starts, failed, advice, itemHash }: Starts, { output, shown, nowMs }: Showing): void {
  const { colors, isTerminal, size } = output;
  const [last, ...earlier] = starts;
  if (failed) {
    const ago = formatAge(nowMs - failed.timeMs);
    output.warn(`its last start failed ${ago} ago: ${cleanLine(failed.message)}. More in: vmlet logs ${shown}`);
  }
  if (last === undefined) {
    output.note(`No start of ${shown} is known since its node has started. Make one with: vmlet invoke ${shown}`);
    return;
  }
  const ago = formatAge(nowMs - last.askedMs);
  output.line(`${colors.bold(shown)} (${itemHash.slice(0, 12)}) started ${ago} ago from ${madeFrom(last)}`);
  output.line('');
  const columns = size?.columns ?? PAGE_COLUMNS;
  for (const line of waterfall(last, { columns, isTerminal, colors })) output.line(line);
  output.line('');
  if (advice.length === 0) output.line('Nothing is known that would make it faster');
  else output.line('What would make it faster');
  for (const { text } of advice) {
    // Broken here and not by the terminal, so that it stays under its mark.
    const [head = '', ...rest] = wrapped(cleanLine(text), Math.min(columns, 100) - 4);
    output.line(`  - ${head}`);
    for (const line of rest) output.line(`    ${line}`);
  }
  if (earlier.length === 0) return;
  output.line('');
  const rows = earlier.map((start) => [
    `${formatAge(nowMs - start.askedMs)} ago`,
    formatMs(start.totalMs),
    madeFrom(start),
  ]);
  for (const line of formatTable([['BEFORE', 'TOTAL', 'FROM'], ...rows])) output.line(line);
}

function madeFrom({ from }: Start): string {
  return MADE_FROM[from] ?? cleanLine(from);
}

/** A text in lines of so many characters, broken at spaces; a word that is longer has a line of its own. */
function wrapped(text: string, chars: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + 1 + word.length <= chars) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines;
}
