import { createInterface } from 'node:readline/promises';
import type { ItemHash } from '@vmlet/messages';
import { sameAddress } from '@vmlet/messages/schema';
import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import { PublicApi } from '../client/api.ts';
import { findProgram } from '../client/find-program.ts';
import { locateNode, ownerOf } from '../client/locate.ts';
import type { ListedProgram } from '../client/owner-schema.ts';
import { shownName } from '../client/pick-program.ts';
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
      'Stops a program and signs a FORGET of it, and of its code where no other program uses that. A name goes with all ' +
        'its versions, an item_hash alone. It cannot be taken ' +
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
  const versions = versionsOf(wanted, program, programs);
  const name = cleanLine(shownName(program));
  if (!sameAddress(signer.address, program.address)) {
    const operands = { program: name, owner: program.address, address: signer.address };
    throw new CliError('PROGRAM_FOREIGN', { operands });
  }
  const what = versions.length > 1 ? `all ${versions.length} versions` : program.itemHash.slice(0, 12);
  if (!yes && !(await confirm(`Remove ${name} (${what})?`, { name, context }))) {
    output.note('Nothing was removed');
    return;
  }
  const publisher: Publisher = { signer, api: new PublicApi(node.url), output, channel: undefined, signal };
  const forgotten = await forgetPrograms(versions, { programs, publisher });
  if (output.isJson) output.json({ removed: program.itemHash, forgotten });
  else output.note(`Removed ${name}`);
  const left = program.names.find((one) => one.current && one.name !== wanted && isLeft(one.name, versions, programs));
  if (left) output.warn(`${left.name} leads nowhere now; lead it to another version with: vmlet rollback ${left.name}`);
}

/** What goes with a program: with a name all its versions go, with an item_hash only that one. */
function versionsOf(wanted: string, program: ListedProgram, programs: readonly ListedProgram[]): ListedProgram[] {
  if (!program.names.some((one) => one.current && one.name === wanted)) return [program];
  return programs.filter((other) => {
    if (!sameAddress(other.address, program.address)) return false;
    // Another name may lead to a version of this one.
    if (other.names.some((one) => one.current && one.name !== wanted)) return false;
    return other.names.length === 0 ? other.name === wanted : other.names.some((one) => one.name === wanted);
  });
}

function isLeft(name: string, removed: readonly ListedProgram[], programs: readonly ListedProgram[]): boolean {
  return programs.some((other) => !removed.includes(other) && other.names.some((one) => one.name === name));
}

/** With their code where no listed program uses that; without it where the node knows of a user that is not listed. */
async function forgetPrograms(
  gone: readonly ListedProgram[],
  { programs, publisher }: { programs: readonly ListedProgram[]; publisher: Publisher },
): Promise<ItemHash[]> {
  const hashes = gone.map((program) => program.itemHash);
  const used = new Set(programs.filter((other) => !gone.includes(other)).map((other) => other.code.ref));
  const code = [...new Set(gone.map((program) => program.code.ref))].filter((ref) => !used.has(ref));
  try {
    await forget(publisher, [...hashes, ...code]);
    return [...hashes, ...code];
  } catch (error) {
    if (code.length === 0 || !(error instanceof CliError) || error.code !== 'MESSAGE_REJECTED') throw error;
    await forget(publisher, hashes);
    return hashes;
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
