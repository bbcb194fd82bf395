import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import { PublicApi } from '../client/api.ts';
import { locateNode } from '../client/locate.ts';
import type { MessageState } from '../client/network-schema.ts';
import type { Context } from '../context.ts';
import { cleanLine, formatTable } from '../terminal-text.ts';

/** Of a content, for people; `--json` has all. */
const MAX_SHOWN_CHARS = 2000;

/** `vmlet message ...`: the group, and its commands. */
export function registerMessage({ program, run }: Cli): void {
  const group = program
    .command('message')
    .summary('look at signed messages')
    .description('Looks at the signed messages of the network that a node has.');
  const command = group
    .command('show')
    .summary('show a message and what became of it')
    .description('Shows who signed a message, what it says, and what the node made of it, with the reason.')
    .argument('<hash>', 'item_hash of the message');
  addExamples(command, [
    ['vmlet message show 63f07193e6ee9d20...', 'on your own node'],
    ['vmlet message show 63f07193e6ee9d20... --json --node https://node.example | jq .message', 'as it was sent'],
  ]);
  command.action(async (hash: string, _options: unknown, self: Command) => {
    await run(self, (context) => show(hash, context));
  });
}

async function show(hash: string, context: Context): Promise<undefined> {
  const { output, signal } = context;
  const state = await new PublicApi((await locateNode(context)).url).message(hash, signal);
  if (output.isJson) output.json(state);
  else for (const line of formatTable(rowsOf(state))) output.line(line);
}

function rowsOf(state: MessageState): string[][] {
  const message: Record<string, unknown> = state.message ?? state.messages?.[0] ?? {};
  const row = (key: string, value: unknown) => {
    if (value === undefined || value === null) return [];
    const text = cleanLine(typeof value === 'string' ? value : JSON.stringify(value));
    return [[key, text.length > MAX_SHOWN_CHARS ? `${text.slice(0, MAX_SHOWN_CHARS)}...` : text]];
  };
  return [
    ...row('item_hash', state.item_hash),
    ...row('status', state.status),
    ...row('error code', state.error_code),
    ...row('reason', state.details),
    ...row('forgotten by', state.forgotten_by?.join(', ')),
    ...row('type', message.type),
    ...row('sender', message.sender),
    ...row('chain', message.chain),
    ...row('channel', message.channel),
    ...row('time', timeOf(message.time)),
    ...row('received', state.reception_time),
    ...row('content', message.content ?? message.item_content),
  ];
}

/** Seconds, or the text that pending messages have. */
function timeOf(time: unknown): unknown {
  const isTime = typeof time === 'number' && Math.abs(time * 1000) <= 8.64e15;
  return isTime ? new Date(time * 1000).toISOString() : time;
}
