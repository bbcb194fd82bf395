import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { toProblem, type VmletError } from '../errors.ts';

/** When a client may try again after a 503 or a 429 that does not know better, in seconds. */
const RETRY_AFTER_SECONDS = 2;

/**
 * Answers with the platform's own error (RFC 9457). Where an answer has begun, it is cut instead: half an answer must
 * not look whole. Details, tracebacks among them, are for the owner and are not in it.
 */
export function sendProblem(
  response: ServerResponse,
  error: VmletError,
  { requestId, close = false }: { requestId: string; close?: boolean },
): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const body = bodyOf(error, requestId);
  const headers: Record<string, string | number> = { ...headersOf(error, { requestId, body }) };
  if (close) headers.connection = 'close';
  response.writeHead(error.entry.status, headers);
  response.end(body);
}

/** The same on a connection that node:http has no request for, or none any more, and closes it. */
export function endWithProblem(socket: Duplex, error: VmletError, requestId: string = randomUUID()): void {
  const body = bodyOf(error, requestId);
  const headers = { ...headersOf(error, { requestId, body }), connection: 'close' };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  socket.on('error', () => socket.destroy());
  socket.end([`HTTP/1.1 ${error.entry.status} ${error.entry.title}`, ...lines, '', body].join('\r\n'), () =>
    socket.destroy(),
  );
}

function bodyOf(error: VmletError, requestId: string): string {
  return JSON.stringify({ ...toProblem(error), requestId });
}

function headersOf(
  { entry: { status, retryable }, retryAfterSeconds }: VmletError,
  { requestId, body }: { requestId: string; body: string },
) {
  return {
    'content-type': 'application/problem+json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-request-id': requestId,
    ...(retryable && (status === 503 || status === 429)
      ? { 'retry-after': retryAfterSeconds ?? RETRY_AFTER_SECONDS }
      : {}),
  };
}
