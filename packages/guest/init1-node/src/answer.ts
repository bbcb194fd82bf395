/** Short answers that the launcher gives itself. */
import { type ServerResponse, STATUS_CODES } from 'http';
import { stackOf } from './failures.ts';

/**
 * Answers with a status and its name in plain text. An answer that has begun is broken off, since it cannot be taken back;
 * one that is whole already stays.
 */
export function answerStatus(res: ServerResponse, status: number): void {
  if (res.writableEnded) return;
  if (res.headersSent) {
    res.destroy();
    return;
  }
  for (const name of res.getHeaderNames()) res.removeHeader(name);
  const text = `${STATUS_CODES[status] ?? status}\n`;
  res.statusMessage = STATUS_CODES[status] ?? '';
  res.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'content-length': text.length });
  res.end(text);
}

/** Answers a request that failed: the stack goes to the log, the client learns that it was the server. */
export function answerError(res: ServerResponse, error: unknown): void {
  process.stderr.write(`${stackOf(error)}\n`);
  answerStatus(res, 500);
}
