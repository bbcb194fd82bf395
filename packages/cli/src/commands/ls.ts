import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import { locateNode, ownerOf } from '../client/locate.ts';
import type { ListedProgram } from '../client/owner-schema.ts';
import type { Context } from '../context.ts';
import type { Colors } from '../output.ts';
import { cleanLine, formatAge, formatTable } from '../terminal-text.ts';

/** Enough of an item_hash to tell programs apart, and to name them by. */
const SHORT_HASH = 12;

/** `vmlet ls`. */
export function registerLs({ program, run }: Cli): void {
  const command = program
    .command('ls')
    .alias('list')
    .summary('list deployed programs')
    .description('Lists the programs of the node, the newest first, with what their machines are doing.');
  addExamples(command, [
    ['vmlet ls', 'a table'],
    [`vmlet ls --json | jq -r '.programs[] | select(.state == "running") | .url'`, 'URLs of what is awake'],
  ]);
  command.action(async (_options: unknown, self: Command) => {
    await run(self, ls);
  });
}

async function ls(context: Context): Promise<undefined> {
  const { output, signal } = context;
  const owner = ownerOf(await locateNode(context), { what: 'list programs', instead: '' });
  const programs = (await owner.programs(signal)).toSorted((a, b) => b.createdMs - a.createdMs);
  if (output.isJson) output.json({ programs });
  else if (programs.length === 0) output.note('No programs yet. Deploy one with: vmlet deploy FOLDER');
  else for (const line of programTable(programs, { nowMs: Date.now(), colors: output.colors })) output.line(line);
}

/** The lines of the table, the head first. */
export function programTable(
  programs: readonly ListedProgram[],
  { nowMs, colors }: { nowMs: number; colors: Colors },
): string[] {
  const rows = programs.map((program) => [
    cleanLine(program.name ?? '-'),
    program.itemHash.slice(0, SHORT_HASH),
    cleanLine(program.state),
    `${program.memoryMiB} MiB`,
    String(program.served),
    formatAge(nowMs - program.createdMs),
    cleanLine(program.hostUrl),
  ]);
  const [head = '', ...lines] = formatTable([['NAME', 'HASH', 'STATE', 'MEMORY', 'REQUESTS', 'AGE', 'URL'], ...rows]);
  return [colors.dim(head), ...lines];
}
