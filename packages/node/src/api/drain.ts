import type { IncomingMessage } from 'node:http';
import { deadline } from '../deadline.ts';

const MAX_BYTES = 16 * 1024 * 1024;
const MAX_MS = 10_000;

/**
 * Throws away the rest of a body that was refused. A client that is still sending reads its answer only if the
 * connection stays open for a while; one that sends on and on loses it.
 */
export function drain(request: IncomingMessage): void {
  if (request.complete || request.destroyed) return;
  const limit = deadline(MAX_MS);
  let drainedBytes = 0;
  const cut = () => request.socket.destroy();
  limit.signal.addEventListener('abort', cut, { once: true });
  request.on('data', (chunk: Buffer) => {
    drainedBytes += chunk.length;
    if (drainedBytes > MAX_BYTES) cut();
  });
  request.once('close', () => limit[Symbol.dispose]());
  request.resume();
}
