import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import { findProgram } from '../client/find-program.ts';
import { locateNode, ownerOf } from '../client/locate.ts';
import type { ListedProgram } from '../client/owner-schema.ts';
import { type ListedDelivery, type ListedTrigger, OwnerTriggers } from '../client/owner-triggers.ts';
import { shownName } from '../client/pick-program.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { wholeNumber } from '../option-values.ts';
import type { Colors } from '../output.ts';
import { cleanLine, formatAge, formatTable } from '../terminal-text.ts';

/** Dead letters in one list. */
const DEFAULT_DEAD = 100;
const MAX_DEAD = 1000;

/** `vmlet triggers`, with `ls`, `dead` and `retry`. */
export function registerTriggers({ program, run }: Cli): void {
  const command = program
    .command('triggers')
    .summary('messages that programs listen to: list, dead letters, retry')
    .description(
      'Programs listen to messages of the network by on.message (vmlet deploy --on-message). A message that a program ' +
        'does not take is sent again, less and less often; after the last try it is a dead letter.',
    );
  for (const register of [registerLs, registerDead, registerRetry]) register({ program: command, run });
}

function registerLs({ program, run }: Cli): void {
  const command = program
    .command('ls', { isDefault: true })
    .alias('list')
    .summary('list programs that listen, and what waits for them')
    .description(
      'Lists the programs that listen to messages, what they listen to, and how many messages wait or are dead.',
    )
    .argument('[program]', 'name, item_hash, or its first 6 characters or more');
  addExamples(command, [['vmlet triggers ls', 'a table']]);
  command.action(async (wanted: string | undefined, _options: unknown, self: Command) => {
    await run(self, async (context) => {
      const { output } = context;
      const { triggers, programs, hash } = await triggersOf(wanted, context);
      const listed = await triggers.list(hash);
      if (output.isJson) output.json({ triggers: listed });
      else if (listed.length === 0)
        output.note('No program listens to messages: vmlet deploy FOLDER --on-message JSON');
      else for (const line of triggerTable(listed, { programs, colors: output.colors })) output.line(line);
      return undefined;
    });
  });
}

function registerDead({ program, run }: Cli): void {
  const command = program
    .command('dead')
    .summary('list messages that programs did not take')
    .description('Lists dead letters, the oldest first, each with why its last try failed.')
    .argument('[program]', 'name, item_hash, or its first 6 characters or more')
    .option('-n, --lines <n>', 'at most so many', wholeNumber('--lines', { min: 1, max: MAX_DEAD }), DEFAULT_DEAD);
  addExamples(command, [
    ['vmlet triggers dead', 'those of all programs'],
    ['vmlet triggers dead shop', 'those of "shop"'],
  ]);
  command.action(async (wanted: string | undefined, options: { lines: number }, self: Command) => {
    await run(self, async (context) => {
      const { output } = context;
      const { triggers, programs, hash } = await triggersOf(wanted, context);
      const deliveries = await triggers.dead(hash, options.lines);
      if (output.isJson) output.json({ deliveries });
      else if (deliveries.length === 0) output.note('No dead letters');
      else {
        const shown = { programs, nowMs: Date.now(), colors: output.colors };
        for (const line of deadTable(deliveries, shown)) output.line(line);
      }
      return undefined;
    });
  });
}

function registerRetry({ program, run }: Cli): void {
  const command = program
    .command('retry')
    .summary('send dead letters again')
    .description('Sends a dead letter again, with all its tries; with --all those of a program, or of all programs.')
    .argument('[what]', 'id of a dead letter; with --all a program')
    .option('--all', 'all dead letters');
  addExamples(command, [
    ['vmlet triggers retry 17', 'one, by its id'],
    ['vmlet triggers retry --all shop', 'all of "shop"'],
  ]);
  command.action(async (what: string | undefined, options: { all?: boolean }, self: Command) => {
    await run(self, async (context) => {
      const { output } = context;
      const retried = options.all === true ? await retryAll(what, context) : await retryOne(what, context);
      if (output.isJson) output.json({ retried });
      else output.note(`Sending again: ${retried}`);
      return undefined;
    });
  });
}

async function retryAll(wanted: string | undefined, context: Context): Promise<number> {
  const { triggers, hash } = await triggersOf(wanted, context);
  return await triggers.retry({ all: true, ...(hash === undefined ? {} : { program: hash }) });
}

async function retryOne(what: string | undefined, context: Context): Promise<number> {
  const id = Number(what);
  if (!Number.isSafeInteger(id) || id < 1) {
    const expected = 'the id of a dead letter, or --all';
    const operands = { option: 'the dead letter', found: what ?? '', expected, help: 'vmlet triggers dead' };
    throw new CliError('OPTION_MALFORMED', { operands });
  }
  const { triggers } = await triggersOf(undefined, context);
  return await triggers.retry({ id });
}

async function triggersOf(wanted: string | undefined, context: Context) {
  const owner = ownerOf(await locateNode(context), { what: 'ask for triggers', instead: '' });
  const programs = await owner.programs(context.signal);
  const hash =
    wanted === undefined ? undefined : findProgram(wanted, programs, { strict: false, nowMs: Date.now() }).itemHash;
  return { triggers: new OwnerTriggers(owner, context.signal), programs, hash };
}

function nameOf(itemHash: string, programs: readonly ListedProgram[]): string {
  const program = programs.find((one) => one.itemHash === itemHash);
  return cleanLine(program ? shownName(program) : itemHash.slice(0, 12));
}

/** The lines of the table, the head first; each subscription of a program has a line. */
export function triggerTable(
  triggers: readonly ListedTrigger[],
  { programs, colors }: { programs: readonly ListedProgram[]; colors: Colors },
): string[] {
  const rows = triggers.flatMap(({ itemHash, on, waiting, dead }) => {
    const [first = '(listens no more)', ...others] = on.map((one) => cleanLine(JSON.stringify(one)));
    const head = [nameOf(itemHash, programs), itemHash.slice(0, 12), String(waiting), String(dead), first];
    return [head, ...others.map((one) => ['', '', '', '', one])];
  });
  const [head = '', ...lines] = formatTable([['PROGRAM', 'HASH', 'WAITING', 'DEAD', 'LISTENS TO'], ...rows]);
  return [colors.dim(head), ...lines];
}

/** The lines of the table, the head first. */
export function deadTable(
  deliveries: readonly ListedDelivery[],
  { programs, nowMs, colors }: { programs: readonly ListedProgram[]; nowMs: number; colors: Colors },
): string[] {
  const rows = deliveries.map(({ id, program, message, tries, createdMs, failure }) => [
    String(id),
    nameOf(program, programs),
    message.slice(0, 12),
    String(tries),
    formatAge(nowMs - createdMs),
    cleanLine(failure ?? ''),
  ]);
  const [head = '', ...lines] = formatTable([['ID', 'PROGRAM', 'MESSAGE', 'TRIES', 'AGE', 'FAILURE'], ...rows]);
  return [colors.dim(head), ...lines];
}
