import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { expectStatus, unreachable } from './http.ts';

export interface SessionRequest {
  itemHash: string;
  kind: 'exec' | 'copy';
  /** As the guest takes it: `encodeExecRequest`, `encodeCopyRequest`. */
  request: Buffer;
  /** For the wait until the machine has begun it. */
  signal: AbortSignal;
}

/**
 * Begins a session in a machine of a program, which is started if none runs. What the stream carries comes from the
 * guest as it is: hostile. Closing it ends the session.
 * @throws ProblemError why there is none; CliError `NODE_UNREACHABLE`; the signal's reason
 */
export async function openSession(socketPath: string, session: SessionRequest): Promise<Duplex> {
  const { itemHash, kind, request, signal } = session;
  const origin = { socketPath };
  const path = `/programs/${itemHash}/sessions?kind=${kind}&request=${request.toString('base64url')}`;
  const headers = { connection: 'Upgrade', upgrade: 'vmlet-session' };
  const begun = Promise.withResolvers<Duplex>();
  const answered = Promise.withResolvers<IncomingMessage>();
  const outgoing = httpRequest({ socketPath, host: 'localhost', path, headers });
  const abort = () => outgoing.destroy();
  signal.throwIfAborted();
  signal.addEventListener('abort', abort, { once: true });
  outgoing.once('upgrade', (_answer, socket, head) => {
    socket.unshift(head);
    begun.resolve(socket);
  });
  outgoing.once('response', answered.resolve).once('error', begun.reject).end();
  try {
    const first = await Promise.race([begun.promise, answered.promise]);
    if ('write' in first) return first;
    await expectStatus(first, { wanted: [101], request: `GET /programs/…/sessions`, origin, signal });
    throw new TypeError('Cannot begin a session: status 101 without an upgrade');
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw error instanceof Error && 'syscall' in error ? unreachable(origin, error) : error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
