import type { Duplex } from 'node:stream';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { COPY, RecordDecoder, SessionError, type SessionRecord } from '@vmlet/guest-protocol/session';
import { CliError } from '../errors.ts';
import { type Copied, decodeFailure } from './entries.ts';
import { failureOfErrno } from './failures.ts';
import { type ReceiveOptions, Receiver } from './receive.ts';
import { sendRecords } from './send.ts';

/** Writes what the machine sends. @throws CliError `COPY_REFUSED`, `COPY_FAILED`, `SESSION_BROKEN` */
export async function receive(
  socket: Duplex,
  options: ReceiveOptions,
): Promise<{ copied: Copied; leftOut: readonly string[] }> {
  await using receiver = new Receiver(options);
  for await (const record of recordsOf(socket)) {
    if (await receiver.take(record)) return receiver;
  }
  throw ended();
}

/** Sends a file or folder, and waits until the machine has written it. @throws CliError as {@link receive} does */
export async function sendAll(socket: Duplex, source: string): Promise<Copied> {
  const copied: Copied = { files: 0, folders: 0, links: 0, bytes: 0 };
  const sent = pipeline(Readable.from(sendRecords(source, copied)), socket, { end: false });
  // Which of the two fails first is of no matter; what the machine says is told first.
  const failed = sent.then(
    () => undefined,
    (error: unknown) => {
      // Nothing more comes, and the machine waits for it.
      socket.destroy();
      return error;
    },
  );
  try {
    for await (const { type, payload } of recordsOf(socket)) {
      if (type === COPY.DONE) {
        await sent;
        return copied;
      }
      if (type !== COPY.FAILED) throw new SessionError('Cannot read a record: another one, expected the end of a copy');
      const { errno, path } = decodeFailure({ type, payload });
      throw failureOfErrno(errno, path);
    }
    throw ended();
  } catch (error) {
    socket.destroy();
    const own = await failed;
    throw own instanceof CliError ? own : error;
  }
}

async function* recordsOf(socket: Duplex): AsyncGenerator<SessionRecord> {
  const decoder = new RecordDecoder();
  try {
    for await (const chunk of socket) yield* decoder.push(chunk);
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw ended(error);
  }
}

function ended(cause?: unknown): CliError {
  const found = cause instanceof SessionError ? cause.message : 'the machine has ended it';
  return new CliError('SESSION_BROKEN', { operands: { found }, cause });
}
