import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import type { BlockEntry } from '../client/block-schema.ts';
import { locateNode, ownerOf } from '../client/locate.ts';
import type { Context } from '../context.ts';
import { cleanLine } from '../terminal-text.ts';

interface BlockOptions {
  reason?: string;
  reload?: boolean;
}

/** `vmlet block` and `vmlet unblock`. */
export function registerBlock({ program, run }: Cli): void {
  const block = program
    .command('block')
    .summary('have nothing to do with an address, a program or a file')
    .description(
      'Adds to the block list of the node: messages are refused, programs are stopped and not run, files are not handed ' +
        'out. Without an argument it lists what is blocked.',
    )
    .argument('[what...]', 'addresses, item_hashes or file_hashes')
    .option('--reason <text>', 'why; told to nobody but the operator')
    .option('--reload', 'read the file again, after it was edited by hand');
  addExamples(block, [
    ['vmlet block 0x238224C744F4b90b4494516e074D2676ECfC6803 --reason spam', 'an owner, with all its programs'],
    ['vmlet block', 'what is blocked, and why'],
  ]);
  block.action(async (whats: string[], options: BlockOptions, self: Command) => {
    await run(self, (context) => blockAll(whats, options, context));
  });
  const unblock = program
    .command('unblock')
    .summary('take something off the block list')
    .argument('<what...>', 'addresses, item_hashes or file_hashes');
  addExamples(unblock, [['vmlet unblock 0x238224C744F4b90b4494516e074D2676ECfC6803', 'let an owner back in']]);
  unblock.action(async (whats: string[], _options: object, self: Command) => {
    await run(self, (context) => unblockAll(whats, context));
  });
}

async function ownerClient(context: Context) {
  return ownerOf(await locateNode(context), { what: 'change the block list', instead: '' });
}

async function blockAll(whats: string[], { reason = '', reload }: BlockOptions, context: Context): Promise<undefined> {
  const owner = await ownerClient(context);
  const { output, signal } = context;
  let entries = reload ? await owner.reloadBlocks(signal) : await owner.blocks(signal);
  for (const what of whats) entries = await owner.block({ what, reason }, { signal });
  if (output.isJson) output.json({ entries });
  else if (whats.length > 0) output.note(`Blocked ${whats.join(', ')}`);
  else for (const entry of entries) output.line(shown(entry));
}

async function unblockAll(whats: string[], context: Context): Promise<undefined> {
  const owner = await ownerClient(context);
  const { output, signal } = context;
  let entries: BlockEntry[] = [];
  for (const what of whats) {
    const answer = await owner.unblock(what, signal);
    entries = answer.entries;
    if (!output.isJson) output.note(answer.removed ? `Unblocked ${what}` : `Was not blocked: ${what}`);
  }
  if (output.isJson) output.json({ entries });
}

function shown({ what, reason }: BlockEntry): string {
  return cleanLine(reason === '' ? what : `${what}  ${reason}`);
}
