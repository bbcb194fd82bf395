import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { deadline } from '../deadline.ts';
import { toProblem, type VmletError } from '../errors.ts';
import type { Lease } from '../executions/index.ts';
import { requestHeaders } from './headers.ts';
import { RETRY_AFTER_SECONDS } from './problem.ts';

export interface Upgrade {
  request: IncomingMessage;
  /** The client's connection, which carries whatever comes after the request's head. */
  socket: Duplex;
  /** What the client sent behind the head. */
  head: Buffer;
  /** Path and query as the program gets them. */
  path: string;
  /** The host that was asked for, with its port. */
  host: string;
  requestId: string;
  /** How long the program may take to answer the handshake, in seconds. What follows has no end of its own. */
  seconds: number;
  trustForwarded: boolean;
}

/** Whether a request asks for a WebSocket; any other upgrade is ignored, as HTTP allows. */
export function asksForWebSocket({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket';
}

/**
 * Joins a client that asks for a WebSocket with its program, byte by byte: the handshake's answer, a refusal too, is
 * the program's own. Returns when both sides have closed; the machine counts as busy until then.
 */
export async function joinWebSocket(upgrade: Upgrade, lease: Lease): Promise<void> {
  const { socket, head } = upgrade;
  using limit = deadline(upgrade.seconds * 1000);
  const program = await lease.connect(limit.signal);
  const onLate = () => program.destroy();
  limit.signal.addEventListener('abort', onLate, { once: true });
  program.once('data', () => limit.signal.removeEventListener('abort', onLate));
  program.write(requestHead(upgrade));
  program.write(head);
  // One side that breaks off takes the other one with it; who did so is seen by both, and there is nobody else to tell.
  await Promise.allSettled([pipeline(socket, program), pipeline(program, socket)]);
  socket.destroy();
  program.destroy();
}

/** Answers an upgrade that leads nowhere with the platform's own error, and closes. */
export function refuseUpgrade(socket: Duplex, error: VmletError, requestId: string): void {
  const body = JSON.stringify({ ...toProblem(error), requestId });
  const { status } = error.entry;
  socket.end(
    [
      `HTTP/1.1 ${status} ${error.entry.title}`,
      'content-type: application/problem+json',
      `content-length: ${Buffer.byteLength(body)}`,
      `x-request-id: ${requestId}`,
      ...(status === 503 ? [`retry-after: ${RETRY_AFTER_SECONDS}`] : []),
      'connection: close',
      '',
      body,
    ].join('\r\n'),
  );
}

function requestHead(upgrade: Upgrade): string {
  const headers = requestHeaders(upgrade.request, upgrade);
  const lines = [`${upgrade.request.method} ${upgrade.path} HTTP/1.1`, 'connection: Upgrade', 'upgrade: websocket'];
  for (let index = 0; index + 1 < headers.length; index += 2) lines.push(`${headers[index]}: ${headers[index + 1]}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
}
