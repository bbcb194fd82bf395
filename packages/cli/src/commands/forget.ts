import { itemHashSchema } from '@vmlet/messages/schema';
import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import { PublicApi } from '../client/api.ts';
import { locateNode } from '../client/locate.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { loadSigner } from '../publish/owner-key.ts';
import { forget } from '../publish/publisher.ts';
import { checkReachable } from './check-reachable.ts';

interface ForgetOptions {
  reason?: string;
  channel?: string;
}

/** `vmlet forget`. */
export function registerForget({ program, run }: Cli): void {
  const command = program
    .command('forget')
    .summary('take back messages that you have signed')
    .description(
      'Signs a FORGET of messages: all of them, or none where one cannot be. It cannot be taken back: a hash that was ' +
        'forgotten never comes back. A file that a program in force uses is kept until the program goes. Prints the item_hash ' +
        'of the FORGET.',
    )
    .argument('<hash...>', 'item_hash of each message')
    .option('--reason <text>', 'why, for readers', 'vmlet forget')
    .option('--channel <name>', 'label of the message');
  addExamples(command, [
    ['vmlet forget 1f3a9c04...', 'a runtime that nobody should use'],
    ['vmlet forget 1f3a9c04... 77ab01e2... --reason "leaked a key"', 'two messages, and why'],
  ]);
  command.action(async (hashes: string[], options: ForgetOptions, self: Command) => {
    await run(self, (context) => forgetAll(hashes, options, context));
  });
}

async function forgetAll(texts: readonly string[], options: ForgetOptions, context: Context): Promise<undefined> {
  const { output, paths, signal } = context;
  const hashes = texts.map((text) => {
    const hash = itemHashSchema.safeParse(text).data;
    if (hash !== undefined) return hash;
    const operands = { option: 'the hash', found: text, expected: 'a whole item_hash', help: 'vmlet forget --help' };
    throw new CliError('OPTION_MALFORMED', { operands });
  });
  const node = await locateNode(context);
  await checkReachable(node, signal);
  const signer = await loadSigner(paths.config, output);
  const { reason = '', channel } = options;
  const publisher = { signer, api: new PublicApi(node.url), output, channel, signal };
  const itemHash = await forget(publisher, hashes, { reason });
  if (output.isJson) output.json({ itemHash, forgotten: hashes });
  else output.line(itemHash);
}
