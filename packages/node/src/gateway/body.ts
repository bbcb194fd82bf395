import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { deadline } from '../deadline.ts';

/** What is read of a body that nobody wants, and for how long. */
const MAX_DRAIN_BYTES = 16 * 1024 * 1024;
const MAX_DRAIN_MS = 10_000;

/**
 * A request's body for the machine, null if it has none. It is read as fast as the machine takes it. When the machine
 * breaks off, only this stream is destroyed: the client's connection stays for the answer.
 */
export function bodyOf(request: IncomingMessage): Readable | null {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
  if (encoding === undefined && (length === undefined || Number(length) === 0)) return null;
  return detached(request);
}

function detached(request: IncomingMessage): Readable {
  const onData = (chunk: Buffer) => void (body.push(chunk) || request.pause());
  const onEnd = () => void body.push(null);
  const onClose = () => void (request.complete || body.destroy(new Error('The client is gone')));
  const body = new Readable({
    read: () => void request.resume(),
    destroy(error, done) {
      request.off('data', onData).off('end', onEnd).off('close', onClose).pause();
      done(error);
    },
  });
  request.on('data', onData).on('end', onEnd).on('close', onClose).pause();
  return body;
}

/**
 * Throws away the rest of a body after the answer. A client that is still sending reads its answer only if the
 * connection stays open for a while; one that sends on and on loses it.
 */
export function drain(request: IncomingMessage): void {
  if (request.complete || request.destroyed) return;
  const limit = deadline(MAX_DRAIN_MS);
  let drainedBytes = 0;
  const cut = () => request.socket.destroy();
  limit.signal.addEventListener('abort', cut, { once: true });
  request.on('data', (chunk: Buffer) => {
    drainedBytes += chunk.length;
    if (drainedBytes > MAX_DRAIN_BYTES) cut();
  });
  const done = () => limit[Symbol.dispose]();
  request.once('end', done).once('close', done);
  // The machine's side may let go of the body only now, and pause it once more.
  request.on('pause', () => void request.resume());
  request.resume();
}
