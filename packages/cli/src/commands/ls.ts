import { sameAddress } from '@vmlet/messages/schema';
import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import { locateNode, ownerOf } from '../client/locate.ts';
import type { ListedProgram } from '../client/owner-schema.ts';
import { shownName } from '../client/pick-program.ts';
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
    .description(
      'Lists the programs of the node, the newest first, with what their machines are doing. Of a name only the version ' +
        'that serves is shown, unless all are asked for; with --json all are there.',
    )
    .option('-a, --all', 'older versions of names too');
  addExamples(command, [
    ['vmlet ls', 'a table'],
    ['vmlet ls -a', 'with what was deployed before'],
    [`vmlet ls --json | jq -r '.programs[] | select(.state == "running") | .url'`, 'URLs of what is awake'],
  ]);
  command.action(async ({ all = false }: { all?: boolean }, self: Command) => {
    await run(self, (context) => ls(all, context));
  });
}

async function ls(all: boolean, context: Context): Promise<undefined> {
  const { output, signal } = context;
  const owner = ownerOf(await locateNode(context), { what: 'list programs', instead: '' });
  const programs = (await owner.programs(signal)).toSorted((a, b) => b.createdMs - a.createdMs);
  if (output.isJson) output.json({ programs });
  else if (programs.length === 0) output.note('No programs yet. Deploy one with: vmlet deploy FOLDER');
  else {
    const older = programs.filter((program) => isOlder(program, programs));
    const shown = all ? programs : programs.filter((program) => !older.includes(program));
    for (const line of programTable(shown, { older, nowMs: Date.now(), colors: output.colors })) output.line(line);
    const hidden = programs.length - shown.length;
    if (hidden > 0) output.note(`${hidden} older or failed ${hidden === 1 ? 'version' : 'versions'}: vmlet ls --all`);
  }
}

/** Whether a program is of a name that leads to another one: an older version, or one that never took its place. */
function isOlder({ names, name, address }: ListedProgram, programs: readonly ListedProgram[]): boolean {
  if (names.some((one) => one.current)) return false;
  const known = names.length > 0 ? names.map((one) => one.name) : [name];
  return programs.some(
    (other) =>
      sameAddress(other.address, address) && other.names.some((one) => one.current && known.includes(one.name)),
  );
}

/** The lines of the table, the head first. */
export function programTable(
  programs: readonly ListedProgram[],
  { older, nowMs, colors }: { older: readonly ListedProgram[]; nowMs: number; colors: Colors },
): string[] {
  const rows = programs.map((program) => [
    // In brackets what was deployed under a name and never had it.
    cleanLine(older.includes(program) && program.names.length === 0 ? `(${shownName(program)})` : shownName(program)),
    program.itemHash.slice(0, SHORT_HASH),
    cleanLine(program.state),
    `${program.memoryMiB} MiB`,
    String(program.served),
    formatAge(nowMs - program.createdMs),
    cleanLine((program.names.find((one) => one.current) ?? program).hostUrl),
  ]);
  const [head = '', ...lines] = formatTable([['NAME', 'HASH', 'STATE', 'MEMORY', 'REQUESTS', 'AGE', 'URL'], ...rows]);
  return [colors.dim(head), ...lines];
}
