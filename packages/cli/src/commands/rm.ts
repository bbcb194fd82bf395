import { createInterface } from 'node:readline/promises';
import type { ItemHash } from '@vmlet/messages';
import { sameAddress } from '@vmlet/messages/schema';
import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import { PublicApi } from '../client/api.ts';
import { findProgram } from '../client/find-program.ts';
import { locateNode, ownerOf } from '../client/locate.ts';
import type { ListedProgram } from '../client/owner-schema.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { loadSigner } from '../publish/owner-key.ts';
import { forget, type Publisher } from '../publish/publisher.ts';
import { cleanLine } from '../terminal-text.ts';

interface RmOptions {
  yes?: boolean;
}

/** `vmlet rm`. */
export function registerRm({ program, run }: Cli): void {
  const command = program
    .command('rm')
    .alias('remove')
    .summary('remove a program for good')
    .description(
      'Stops a program and signs a FORGET of it, and of its code where no other program uses that. It cannot be taken ' +
        'back: a hash that was forgotten never comes back, but the folder can be deployed anew.',
    )
    .argument('<program>', 'name, item_hash, or its first 6 characters or more')
    .option('-y, --yes', 'do not ask');
  addExamples(command, [
    ['vmlet rm hello', 'asks, then removes "hello"'],
    ['vmlet rm 1f3a9c --yes', 'without a question, for scripts'],
  ]);
  command.action(async (wanted: string, options: RmOptions, self: Command) => {
    await run(self, (context) => rm(wanted, options, context));
  });
}

async function rm(wanted: string, { yes = false }: RmOptions, context: Context): Promise<undefined> {
  const { output, paths, signal } = context;
  const node = await locateNode(context);
  const owner = ownerOf(node, { what: 'look up programs', instead: '' });
  const programs = await owner.programs(signal);
  const program = findProgram(wanted, programs, { strict: true, nowMs: Date.now() });
  const signer = await loadSigner(paths.config, output);
  const name = cleanLine(program.name ?? program.itemHash.slice(0, 12));
  if (!sameAddress(signer.address, program.address)) {
    const operands = { program: name, owner: program.address, address: signer.address };
    throw new CliError('PROGRAM_FOREIGN', { operands });
  }
  if (!yes && !(await confirm(`Remove ${name} (${program.itemHash.slice(0, 12)})?`, { name, context }))) {
    output.note('Nothing was removed');
    return;
  }
  const publisher: Publisher = { signer, api: new PublicApi(node.url), output, channel: undefined, signal };
  const forgotten = await forgetProgram(program, { programs, publisher });
  if (output.isJson) output.json({ removed: program.itemHash, forgotten });
  else output.note(`Removed ${name}`);
}

/** With its code where no listed program uses that; without it where the node knows of a user that is not listed. */
async function forgetProgram(
  program: ListedProgram,
  { programs, publisher }: { programs: readonly ListedProgram[]; publisher: Publisher },
): Promise<ItemHash[]> {
  const codeRef = program.code.ref;
  const isShared = programs.some((other) => other.itemHash !== program.itemHash && other.code.ref === codeRef);
  const both = isShared ? [program.itemHash] : [program.itemHash, codeRef];
  try {
    await forget(publisher, both);
    return both;
  } catch (error) {
    if (isShared || !(error instanceof CliError) || error.code !== 'MESSAGE_REJECTED') throw error;
    await forget(publisher, [program.itemHash]);
    return [program.itemHash];
  }
}

async function confirm(
  question: string,
  { name, context: { stdin, output, signal } }: { name: string; context: Context },
): Promise<boolean> {
  if (stdin.isTTY !== true || output.isJson)
    throw new CliError('CONFIRMATION_MISSING', { operands: { program: name } });
  output.prompt(`${question} [y/N] `);
  using lines = createInterface({ input: stdin });
  const answer = await lines.question('', { signal });
  return /^y(es)?$/i.test(answer.trim());
}
