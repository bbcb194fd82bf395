import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import { locateNode, ownerOf } from '../client/locate.ts';
import { type ListedName, OwnerNames } from '../client/owner-names.ts';
import { pickProgram } from '../client/pick-program.ts';
import type { Context } from '../context.ts';
import { programName } from '../option-values.ts';
import type { Colors, Output } from '../output.ts';
import { cleanLine, formatAge, formatTable } from '../terminal-text.ts';

/** `vmlet name`, with `ls` and `rm`. */
export function registerName({ program, run }: Cli): void {
  const command = program
    .command('name')
    .summary('give a program another name; list names and their versions')
    .description(
      'Given a name, changes it, with all its versions. Given an item_hash, leads the new name to that program, which ' +
        'takes the name if nobody has it. Names are unique on a node and belong to who took them first.',
    )
    .argument('<program>', 'name, item_hash, or its first 6 characters or more')
    .argument('<new>', 'what it is called from now on', programName);
  addExamples(command, [
    ['vmlet name hello greeter', 'its URL has the new name; the old one is free'],
    ['vmlet name 1f3a9c hello', 'lead "hello" to another program'],
    ['vmlet name ls', 'all names, and what they have led to'],
  ]);
  command.action(async (wanted: string, to: string, _options: unknown, self: Command) => {
    await run(self, (context) => rename({ wanted, to }, context));
  });
  for (const register of [registerNameLs, registerNameRm]) register({ program: command, run });
}

function registerNameLs({ program, run }: Cli): void {
  const command = program
    .command('ls')
    .alias('list')
    .summary('list names and their versions')
    .description('Lists the names of the node, each with the versions that it can be led to, the newest first.');
  addExamples(command, [['vmlet name ls', 'a table']]);
  command.action(async (_options: unknown, self: Command) => {
    await run(self, async (context) => {
      const { output } = context;
      const names = await (await namesOf(context)).list();
      if (output.isJson) output.json({ names });
      else if (names.length === 0) output.note('No names yet. The first deployment takes one: vmlet deploy FOLDER');
      else for (const line of nameTable(names, { nowMs: Date.now(), colors: output.colors })) output.line(line);
      return undefined;
    });
  });
}

function registerNameRm({ program, run }: Cli): void {
  const command = program
    .command('rm')
    .summary('free a name; its programs stay')
    .description('Frees a name. The programs that it has led to stay, under their item_hashes.')
    .argument('<name>', 'a name, as `vmlet name ls` has it');
  addExamples(command, [['vmlet name rm hello', 'let another owner have "hello"']]);
  command.action(async (name: string, _options: unknown, self: Command) => {
    await run(self, async (context) => {
      const freed = await (await namesOf(context)).remove(name);
      if (context.output.isJson) context.output.json(freed);
      else context.output.note(`The name ${cleanLine(freed.name)} is free`);
      return undefined;
    });
  });
}

async function rename({ wanted, to }: { wanted: string; to: string }, context: Context): Promise<undefined> {
  const names = await namesOf(context);
  const isName = (await names.list()).some(({ name }) => name === wanted);
  if (isName) tell(await names.rename(wanted, to), context.output);
  else {
    const { program } = await pickProgram(wanted, context, 'name a program');
    tell(await names.move(to, program.itemHash), context.output);
  }
}

function tell(named: ListedName, output: Output): void {
  if (output.isJson) output.json(named);
  else for (const line of [named.url, named.hostUrl]) output.line(cleanLine(line));
}

async function namesOf(context: Context): Promise<OwnerNames> {
  return new OwnerNames(ownerOf(await locateNode(context), { what: 'ask for names', instead: '' }), context.signal);
}

/** The lines of the table, the head first; a star stands at the version that serves. */
export function nameTable(
  names: readonly ListedName[],
  { nowMs, colors }: { nowMs: number; colors: Colors },
): string[] {
  const rows = names.flatMap(({ name, itemHash, versions }) =>
    versions.map((one, index) => [
      index === 0 ? cleanLine(itemHash === null ? `${name} (leads nowhere)` : name) : '',
      `${one.version}${one.current ? ' *' : ''}`,
      one.itemHash.slice(0, 12),
      formatAge(nowMs - one.namedMs),
    ]),
  );
  const [head = '', ...lines] = formatTable([['NAME', 'VERSION', 'HASH', 'AGE'], ...rows]);
  return [colors.dim(head), ...lines];
}
