import type { ServerResponse } from 'node:http';
import { toProblem, type VmletError } from '../errors.ts';

/** When a client may try again after a 503, in seconds. */
export const RETRY_AFTER_SECONDS = 2;

/**
 * Answers with the platform's own error (RFC 9457). Where an answer has begun, it is cut instead: half an answer must
 * not look whole. Details, tracebacks among them, are for the owner and are not in it.
 */
export function sendProblem(response: ServerResponse, error: VmletError, requestId: string): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const body = JSON.stringify({ ...toProblem(error), requestId });
  const headers: Record<string, string | number> = {
    'content-type': 'application/problem+json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-request-id': requestId,
  };
  if (error.entry.status === 503 && error.entry.retryable) headers['retry-after'] = RETRY_AFTER_SECONDS;
  response.writeHead(error.entry.status, headers);
  response.end(body);
}
