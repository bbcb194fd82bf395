import { itemHashSchema } from '@vmlet/messages/schema';
import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import { checkUrl, locateNode, ownerOf } from '../client/locate.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { importStore } from '../publish/import.ts';
import { formatBytes } from '../terminal-text.ts';

/** `vmlet runtime import`. */
export function registerRuntimeImport({ program, run }: Cli): void {
  const command = program
    .command('import')
    .summary('fetch a runtime from another node, as its publisher signed it')
    .description(
      'Fetches the signed message of a runtime and its file from another node of the network and hands them to your own. ' +
        'The signature, the hash of the message and the hash of the file are checked, so it matters little whom you fetch from: ' +
        'what comes is what was signed, or nothing. Works for any file that a STORE message names. Prints the item_hash.',
    )
    .argument('<hash>', 'item_hash of the STORE message')
    .requiredOption('--from <url>', 'the node that has it');
  addExamples(command, [
    ['vmlet runtime import --from https://node.example 63f07193e6ee9d20...', 'for programs that name it'],
  ]);
  command.action(async (hash: string, options: { from: string }, self: Command) => {
    await run(self, (context) => importRuntime(hash, options, context));
  });
}

async function importRuntime(hash: string, options: { from: string }, context: Context): Promise<undefined> {
  const { output, signal } = context;
  const itemHash = itemHashSchema.safeParse(hash).data;
  if (itemHash === undefined) {
    const operands = {
      option: 'the hash',
      found: hash,
      expected: 'a whole item_hash',
      help: 'vmlet runtime import --help',
    };
    throw new CliError('OPTION_MALFORMED', { operands });
  }
  const from = checkUrl(options.from);
  const node = await locateNode(context);
  const owner = ownerOf(node, { what: 'import a message', instead: '' });
  const { sizeBytes, address, fileHash, wasHere } = await importStore(itemHash, {
    from,
    to: { url: node.url, owner },
    output,
    signal,
  });
  output.settle();
  if (output.isJson) {
    output.json({ itemHash, address, fileHash, sizeBytes, wasHere });
    return;
  }
  output.note(wasHere ? 'It is here already' : `${formatBytes(sizeBytes)}, signed by ${address}`);
  output.line(itemHash);
}
