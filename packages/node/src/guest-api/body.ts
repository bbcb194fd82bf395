import type { IncomingMessage } from 'node:http';
import { deadline } from '../deadline.ts';
import { VmletError } from '../errors.ts';
import type { Allowance } from './allowance.ts';

/** What the body of a call may take to come, in milliseconds. */
const BODY_MS = 30_000;
/** What is read of a body that nobody wants: a program reads its answer only if it could send all, or much. */
const MAX_DRAIN_BYTES = 4 * 1024 * 1024;

interface ReadOptions {
  maxBytes: number;
  allowance: Pick<Allowance, 'hold' | 'release'>;
  /** What is raised when it is longer. */
  tooLarge: () => VmletError;
}

/**
 * Reads a body into memory and gives it to `use`; until that is over it counts as held.
 * @throws `tooLarge`; VmletError `GUEST_BODY_SLOW`, `GUEST_RATE_EXCEEDED`; what `use` throws
 */
export async function withBody<T>(
  request: IncomingMessage,
  { maxBytes, allowance, tooLarge }: ReadOptions,
  use: (body: Buffer) => T | Promise<T>,
): Promise<T> {
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge();
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    await arrived(request, (chunk) => {
      allowance.hold(chunk.length);
      bytes += chunk.length;
      if (bytes > maxBytes) throw tooLarge();
      chunks.push(chunk);
    });
    return await use(Buffer.concat(chunks, bytes));
  } finally {
    allowance.release(bytes);
  }
}

/** Hands each chunk to `take` until the body is over. */
async function arrived(request: IncomingMessage, take: (chunk: Buffer) => void): Promise<void> {
  using limit = deadline(BODY_MS);
  const done = Promise.withResolvers<void>();
  const onData = (chunk: Buffer) => {
    try {
      take(chunk);
    } catch (error) {
      done.reject(error);
    }
  };
  const onAbort = () => done.reject(new VmletError('GUEST_BODY_SLOW', { operands: { ms: BODY_MS } }));
  const onClose = () => done.reject(new Error('The program is gone'));
  limit.signal.addEventListener('abort', onAbort, { once: true });
  request.on('data', onData).once('end', done.resolve).once('close', onClose);
  try {
    await done.promise;
  } finally {
    request.off('data', onData).off('end', done.resolve).off('close', onClose);
  }
}

/** Throws away the rest of a body after the answer; a program that sends on and on loses its connection. */
export function drain(request: IncomingMessage): void {
  if (request.complete || request.destroyed) return;
  const limit = deadline(BODY_MS);
  let drainedBytes = 0;
  const cut = () => request.socket.destroy();
  limit.signal.addEventListener('abort', cut, { once: true });
  request.on('data', (chunk: Buffer) => {
    drainedBytes += chunk.length;
    if (drainedBytes > MAX_DRAIN_BYTES) cut();
  });
  request.once('close', () => limit[Symbol.dispose]());
  request.resume();
}
