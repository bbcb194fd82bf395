import type { IncomingMessage } from 'node:http';
import type { Writable } from 'node:stream';
import { VmletError } from '../../errors.ts';
import { watchSlow } from '../slow.ts';

/** How much a client must send, and in which time. */
export interface SlowLimit {
  readonly slowMs: number;
  readonly slowBytes: number;
}

/**
 * Sends a request's body into `sink` and resolves when the sink has taken all of it. The request itself is never
 * destroyed, so that an error can still be answered on its connection.
 *
 * @throws VmletError `UPLOAD_CUT_SHORT` if the connection ends first, `UPLOAD_TOO_SLOW`; the sink's error; the
 *   signal's reason
 */
export async function pump(
  request: IncomingMessage,
  sink: Writable,
  { signal, slow }: { signal: AbortSignal; slow: SlowLimit },
): Promise<void> {
  const done = Promise.withResolvers<void>();
  let receivedBytes = 0;
  const onData = (chunk: Buffer) => {
    receivedBytes += chunk.length;
  };
  const onCut = () => {
    if (!request.complete) done.reject(new VmletError('UPLOAD_CUT_SHORT', { operands: { receivedBytes } }));
  };
  const onAbort = () => done.reject(signal.reason);
  const onError = (error: unknown) => done.reject(error);
  using _watch = watchSlow(slow, {
    movedBytes: () => receivedBytes,
    // A disk that is slow is no fault of the client's.
    isWaiting: () => request.complete || sink.writableNeedDrain,
    onSlow: () => done.reject(new VmletError('UPLOAD_TOO_SLOW', { operands: { receivedBytes, ms: slow.slowMs } })),
  });
  signal.addEventListener('abort', onAbort, { once: true });
  sink.once('finish', done.resolve).on('error', onError);
  // Stays: an error of an abandoned request has no other listener.
  request.on('error', onCut).once('close', onCut).on('data', onData);
  request.pipe(sink);
  try {
    signal.throwIfAborted();
    if (request.destroyed) onCut();
    await done.promise;
  } finally {
    request.unpipe(sink);
    request.off('data', onData).off('close', onCut);
    signal.removeEventListener('abort', onAbort);
  }
}
