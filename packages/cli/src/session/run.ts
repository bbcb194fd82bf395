import { constants } from 'node:os';
import type { Duplex } from 'node:stream';
import {
  encodeRecord,
  FROM_COMMAND,
  RecordDecoder,
  SESSION_LIMITS,
  SessionError,
  type SessionRecord,
  TO_COMMAND,
} from '@vmlet/guest-protocol/session';
import { encodeSize } from '@vmlet/guest-protocol/session-requests';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { rawInput, sizeOf } from './terminal.ts';

/** What shells add to the number of a signal that ended a command. */
const SIGNALLED = 128;

export interface SessionOptions {
  /** Whether the command has a terminal, of which this one is the screen. */
  terminal: boolean;
  /** Whether what comes on stdin is for the command; without, its input ends at once. */
  input: boolean;
}

/**
 * Carries a command's input and output until it ends. Being told to end, it tells the command so, and waits for it.
 * @returns its exit status, 128 more than a signal's number
 * @throws CliError `SESSION_BROKEN` if the session ends without it
 */
export async function runSession(socket: Duplex, context: Context, options: SessionOptions): Promise<number> {
  using held = new DisposableStack();
  held.defer(() => socket.destroy());
  if (options.terminal) {
    held.use(rawInput(context.stdin));
    held.use(
      context.output.onResize(() => void socket.write(encodeRecord(TO_COMMAND.RESIZE, encodeSize(sizeOf(context))))),
    );
  }
  held.use(passSignals(socket, context.signal));
  if (options.input) held.use(passInput(socket, context.stdin));
  else socket.write(encodeRecord(TO_COMMAND.STDIN));
  // Told by the end of the loop below.
  socket.on('error', () => socket.destroy());
  const decoder = new RecordDecoder();
  try {
    for await (const chunk of socket) {
      for (const record of decoder.push(chunk)) {
        const status = await take(record, context);
        if (status !== undefined) return status;
      }
    }
  } catch (error) {
    if (error instanceof SessionError) throw broken(error.message);
    if (!isStreamError(error)) throw error;
  }
  throw broken('the machine has ended it');
}

async function take({ type, payload }: SessionRecord, { output }: Context): Promise<number | undefined> {
  // Not the context's signal: what a command says after it was told to end is still wanted.
  const { signal } = new AbortController();
  if (type === FROM_COMMAND.STDOUT) await output.bytes(payload, signal);
  else if (type === FROM_COMMAND.STDERR) await output.besideBytes(payload, signal);
  else if (type === FROM_COMMAND.EXIT && payload.length === 2) {
    const [isSignal = 0, number = 0] = payload;
    return isSignal === 0 ? number : SIGNALLED + number;
  } else throw new SessionError(`Cannot read a record: type ${type}, expected one of a command`);
  return undefined;
}

/** Sends stdin, no faster than the command takes it, and its end. */
function passInput(socket: Duplex, stdin: Context['stdin']): Disposable {
  const onData = (chunk: Buffer | string) => {
    const bytes = Buffer.from(chunk);
    let room = true;
    for (let at = 0; at < bytes.length; at += SESSION_LIMITS.recordBytes) {
      room = socket.write(encodeRecord(TO_COMMAND.STDIN, bytes.subarray(at, at + SESSION_LIMITS.recordBytes)));
    }
    if (!room) stdin.pause();
  };
  const onDrain = () => void stdin.resume();
  const onEnd = () => void socket.write(encodeRecord(TO_COMMAND.STDIN));
  stdin.on('data', onData).once('end', onEnd);
  socket.on('drain', onDrain);
  return {
    [Symbol.dispose]() {
      stdin.off('data', onData).off('end', onEnd).pause();
      socket.off('drain', onDrain);
    },
  };
}

/** Hands on what this process is told to end by; a second signal ends it at once, and with it the session. */
function passSignals(socket: Duplex, signal: AbortSignal): Disposable {
  const onAbort = () => {
    const { reason } = signal;
    const terminated = reason instanceof CliError && reason.message.includes('SIGTERM');
    const number = terminated ? constants.signals.SIGTERM : constants.signals.SIGINT;
    socket.write(encodeRecord(TO_COMMAND.SIGNAL, Buffer.from([number])));
  };
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  return { [Symbol.dispose]: () => signal.removeEventListener('abort', onAbort) };
}

function isStreamError(error: unknown): boolean {
  return error instanceof Error && 'code' in error;
}

function broken(found: string): CliError {
  return new CliError('SESSION_BROKEN', { operands: { found } });
}
