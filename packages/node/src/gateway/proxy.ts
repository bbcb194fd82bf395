import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Dispatcher } from 'undici';
import { deadline } from '../deadline.ts';
import { VmletError } from '../errors.ts';
import type { Lease } from '../executions/index.ts';
import { failpoint } from '../failpoint.ts';
import { type WakePhases, withQueue } from '../timelines/index.ts';
import { bodyOf } from './body.ts';
import { faultOfCoding, requestHeaders, responseHeaders, responseTrailers } from './headers.ts';

export interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  /** Path and query as the program gets them. */
  path: string;
  /** The host that was asked for, with its port. */
  host: string;
  requestId: string;
  /** How long the program may take, in seconds. */
  seconds: number;
  trustForwarded: boolean;
  /** From the request to its place at the machine, in milliseconds. */
  waitedMs: number;
  /** Told of the first byte of the answer, and how long the program took for it. */
  onFirstByte: (appMs: number) => void;
  /** Aborted when the client is gone. */
  signal: AbortSignal;
}

/**
 * Sends one request to a machine, once, and streams its answer back; neither side is read faster than the other
 * takes it. Status, headers, body and trailers are the program's own.
 * @throws VmletError `REQUEST_TIMEOUT`, or why the connection broke; the signal's reason
 */
export async function proxy(exchange: Exchange, lease: Lease): Promise<void> {
  const { response, seconds, signal } = exchange;
  using limit = deadline(seconds * 1000, signal);
  const started = performance.now();
  try {
    const [answer] = await Promise.all([send(exchange, lease.client, limit.signal), failpoint('request.sent')]);
    const appMs = performance.now() - started;
    exchange.onFirstByte(appMs);
    const timing = lease.phases ? ['server-timing', serverTiming(lease.phases, exchange.waitedMs, { appMs })] : [];
    const raw = rawHeaders(answer);
    refuseCoding(answer, faultOfCoding(raw));
    const headers = responseHeaders(raw, ['x-request-id', exchange.requestId, ...timing]);
    response.writeHead(answer.statusCode, reasonOf(answer), headers);
    await Promise.all([stream(answer, response, limit.signal), failpoint('response.started')]);
    await failpoint('response.ended');
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (!limit.expired) throw await lease.explain(error);
    if (!response.headersSent) lease.retire();
    throw new VmletError('REQUEST_TIMEOUT', { operands: { seconds }, cause: error });
  }
}

function send(exchange: Exchange, client: Dispatcher, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
  const { request, path, requestId, host, trustForwarded } = exchange;
  return client.request({
    method: (request.method ?? 'GET') as Dispatcher.HttpMethod,
    path,
    headers: requestHeaders(request, { requestId, host, trustForwarded }),
    body: bodyOf(request),
    responseHeaders: 'raw',
    signal,
  });
}

/** Ends the connection with the answer, of which nobody can tell where it ends. */
function refuseCoding({ body }: Dispatcher.ResponseData, found: string | undefined): void {
  if (found === undefined) return;
  const refused = new TypeError(`Cannot pass the answer on: ${found}, expected "chunked" or none`);
  // The same error is thrown; the stream's own copy of it has no other listener.
  body.on('error', () => {}).destroy(refused);
  throw refused;
}

/** `responseHeaders: 'raw'` makes undici give name, value, name, value, which its types do not know. */
function rawHeaders(answer: Dispatcher.ResponseData): string[] {
  const headers: unknown = answer.headers;
  if (!Array.isArray(headers)) throw new TypeError('Cannot read the headers: an object found, expected a list');
  return headers.map(String);
}

async function stream(answer: Dispatcher.ResponseData, response: ServerResponse, signal: AbortSignal): Promise<void> {
  const body: Readable = answer.body;
  await pipeline(body, response, { end: false, signal });
  const trailers = responseTrailers(answer.trailers);
  if (trailers.length > 0) response.addTrailers(Object.fromEntries(trailers));
  response.end();
}

/** The program's reason phrase; one that HTTP does not allow is left out. */
function reasonOf({ statusText }: Dispatcher.ResponseData): string | undefined {
  return /^[\t\x20-\x7e\x80-\xff]+$/.test(statusText) ? statusText : undefined;
}

/**
 * The Server-Timing header of a request that waited for a machine: each step in milliseconds, `app` until the program's
 * first byte, and `total`, which says what the machine was made from. A request that came while the machine was waking
 * has waited less than the steps together.
 */
function serverTiming(phases: WakePhases, waitedMs: number, { appMs }: { appMs: number }): string {
  const rows = [...withQueue(phases, waitedMs).steps, { name: 'app', ms: appMs }];
  const steps = rows.map(({ name, ms }) => `${name};dur=${ms.toFixed(1)}`);
  return [...steps, `total;desc="${phases.from}";dur=${(waitedMs + appMs).toFixed(1)}`].join(', ');
}
