import { ReadStream } from 'node:tty';
import type { TerminalSize } from '@vmlet/guest-protocol/session-requests';
import type { Context } from '../context.ts';

const USUAL_SIZE: TerminalSize = { rows: 24, columns: 80 };

/** Whether somebody sits at a terminal, with both ends of it. */
export function isInteractive({ stdin, output }: Pick<Context, 'stdin' | 'output'>): boolean {
  return stdin.isTTY === true && output.isTerminal;
}

/** The size of the terminal that stdout is; a usual one where it is none. */
export function sizeOf({ output }: Pick<Context, 'output'>): TerminalSize {
  return output.size ?? USUAL_SIZE;
}

/** Hands every key on as it is, those that would end this process too, until it is disposed of. */
export function rawInput(stdin: Context['stdin']): Disposable {
  if (!(stdin instanceof ReadStream)) return { [Symbol.dispose]: () => {} };
  stdin.setRawMode(true);
  return { [Symbol.dispose]: () => void stdin.setRawMode(false) };
}
