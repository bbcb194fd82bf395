import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import { locateNode, ownerOf } from '../client/locate.ts';
import type { ListedProgram } from '../client/owner-schema.ts';
import type { Usage } from '../client/owner-usage.ts';
import { shownName } from '../client/pick-program.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { EXIT_CODES, type ExitCode } from '../exit-codes.ts';
import { duration } from '../option-values.ts';
import type { Colors } from '../output.ts';
import { cleanLine, formatAge, formatTable } from '../terminal-text.ts';

const DEFAULT_EVERY_MS = 2000;
/** With --once, the time between the two looks that a share of a processor takes. */
const ONCE_MS = 500;

interface TopOptions {
  every: number;
  once?: boolean;
}

/** `vmlet top`. */
export function registerTop({ program, run }: Cli): void {
  const command = program
    .command('top')
    .summary('watch what machines use')
    .description(
      'Shows the machines that run: share of a processor, memory of all their processes on this host, requests under way ' +
        'and served. A terminal is drawn anew, anything else gets a table after the other, --json a document each time.',
    )
    .option(
      '--every <time>',
      'time between two looks, as 500ms or 5s',
      duration('--every', { minMs: 100, maxMs: 3_600_000 }),
      DEFAULT_EVERY_MS,
    )
    .option('--once', 'look once and end');
  addExamples(command, [
    ['vmlet top', 'until Ctrl-C'],
    ['vmlet top --once', 'one table'],
    [`vmlet top --json | jq -c '[.machines[] | {name, cpuPercent, memoryMiB}]'`, 'for other programs'],
  ]);
  for (const option of command.options) if (option.long === '--every') option.default(option.defaultValue, '2s');
  command.action(async (options: TopOptions, self: Command) => {
    await run(self, (context) => top(options, context));
  });
}

async function top({ every, once = false }: TopOptions, context: Context): Promise<ExitCode> {
  const { output, signal } = context;
  const owner = ownerOf(await locateNode(context), { what: 'look at machines', instead: '' });
  let looks = 0;
  try {
    for await (const usage of owner.usage({ everyMs: once ? ONCE_MS : every, signal })) {
      looks++;
      // The first one has no share of a processor yet.
      if (once && looks === 1) continue;
      const machines = named(usage, await owner.programs(signal));
      if (output.isJson) output.json({ timeMs: usage.timeMs, machines });
      else
        output.screen(topTable(machines, { nowMs: usage.timeMs, colors: output.colors }), {
          isFirst: looks === 1 || once,
        });
      if (once) break;
    }
    return EXIT_CODES.ok;
  } catch (error) {
    // Ctrl-C is how one stops watching: that needs no words.
    const { reason } = signal;
    if (reason instanceof CliError && reason.code === 'INTERRUPTED') return EXIT_CODES.interrupted;
    throw error;
  }
}

type NamedMachine = Usage['machines'][number] & { name: string };

/** With the names of programs; those that use most of a processor first. */
function named({ machines }: Usage, programs: readonly ListedProgram[]): NamedMachine[] {
  const byHash = new Map(programs.map((program) => [program.itemHash, program]));
  return machines
    .map((machine) => {
      const program = byHash.get(machine.itemHash);
      return { ...machine, name: program ? shownName(program) : machine.itemHash.slice(0, 12) };
    })
    .toSorted((a, b) => (b.cpuPercent ?? -1) - (a.cpuPercent ?? -1) || b.startedMs - a.startedMs);
}

/** The lines of the table, the head first. */
export function topTable(
  machines: readonly NamedMachine[],
  { nowMs, colors }: { nowMs: number; colors: Colors },
): string[] {
  const rows = machines.map(({ name, itemHash, state, cpuPercent, memoryMiB, inFlight, served, startedMs }) => [
    cleanLine(name),
    itemHash.slice(0, 12),
    cleanLine(state),
    cpuPercent === null ? '-' : `${cpuPercent.toFixed(1)} %`,
    memoryMiB === null ? '-' : `${Math.round(memoryMiB)} MiB`,
    String(inFlight),
    String(served),
    formatAge(nowMs - startedMs),
  ]);
  const table = [['NAME', 'HASH', 'STATE', 'CPU', 'MEMORY', 'IN FLIGHT', 'SERVED', 'UP'], ...rows];
  const [head = '', ...lines] = formatTable(table);
  return [colors.dim(head), ...(lines.length > 0 ? lines : ['No machine runs'])];
}
