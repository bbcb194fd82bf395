import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import * as z from 'zod';
import { CliError } from '../errors.ts';

/** Subscriptions that a node looks at, and members that the network's schema allows in each. */
const MAX_SUBSCRIPTIONS = 64;
const MAX_SUBSCRIPTION_MEMBERS = 32;
/** What a path may have that messages are posted to: that of a request target. */
const PATH = /^\/[!-~]{0,1023}$/;

const subscriptionSchema = z.record(z.string(), z.unknown()).refine((members) => {
  const count = Object.keys(members).length;
  return count > 0 && count <= MAX_SUBSCRIPTION_MEMBERS;
});
const onMessageSchema = z.array(subscriptionSchema).min(1).max(MAX_SUBSCRIPTIONS);

/** What a program listens to: `on.message` of its PROGRAM message. */
export type OnMessage = z.output<typeof onMessageSchema>;

/**
 * Reads the value of --on-message: JSON, one subscription or a list of them, or the name of a file that holds it.
 * @throws CliError `OPTION_MALFORMED`
 */
export async function readOnMessage(value: string, { cwd }: { cwd: string }): Promise<OnMessage> {
  const isJson = /^\s*[[{]/.test(value);
  let text: string | undefined = value;
  let why = '';
  if (!isJson) {
    text = await readFile(resolve(cwd, value), 'utf8').catch((error: NodeJS.ErrnoException) => {
      why = error.code === 'ENOENT' ? ' (no such file)' : ` (a file that cannot be read: ${error.code})`;
      return undefined;
    });
  }
  const parsed = onMessageSchema.safeParse(listOf(text));
  if (parsed.success) return parsed.data;
  const found = isJson ? value.slice(0, 64) : `${value}${why}`;
  throw malformed('--on-message', found, `JSON such as {"channel":"TEST"}, or a list of at most ${MAX_SUBSCRIPTIONS}`);
}

/** The value of --on-message-path. @throws CliError `OPTION_MALFORMED` */
export function onMessagePath(text: string): string {
  if (PATH.test(text)) return text;
  throw malformed('--on-message-path', text, 'a path such as /on-message, percent-encoded');
}

function listOf(text: string | undefined): unknown {
  try {
    const value: unknown = JSON.parse(text ?? '');
    return Array.isArray(value) ? value : [value];
  } catch {
    // No JSON is malformed as any other value.
    return undefined;
  }
}

function malformed(option: string, found: string, expected: string): CliError {
  return new CliError('OPTION_MALFORMED', { operands: { option, found, expected, help: 'vmlet deploy --help' } });
}
