import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';
import type { TimeLimits } from '../deadline.ts';
import { VmletError } from '../errors.ts';
import type { Lease } from '../executions/index.ts';
import { failpoint } from '../failpoint.ts';
import { type WakePhases, withQueue } from '../timelines/index.ts';
import { Answer } from './answer.ts';
import { bodyOf } from './body.ts';
import { requestHeaders } from './headers.ts';

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
  limits: TimeLimits;
  trustForwarded: boolean;
  /** From the request to its place at the machine, in milliseconds. */
  waitedMs: number;
  /** Told to the client, where its program runs on a stand-in: `HASH=TARGET`. */
  runtimeAlias: string | undefined;
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
  const { request, response, path, requestId, seconds, limits, signal } = exchange;
  signal.throwIfAborted();
  const started = performance.now();
  const answer = new Answer(response, {
    extra: () => {
      const appMs = performance.now() - started;
      exchange.onFirstByte(appMs);
      const { phases } = lease;
      const timing = phases ? ['server-timing', serverTiming(phases, exchange.waitedMs, { appMs })] : [];
      const { runtimeAlias } = exchange;
      const alias = runtimeAlias === undefined ? [] : ['vmlet-runtime-alias', runtimeAlias];
      return ['x-request-id', requestId, ...timing, ...alias];
    },
    onStarted: async () => {
      await failpoint('response.started');
    },
  });
  const sent = async () => {
    await failpoint('request.sent');
    answer.passOn();
  };
  using limit = limits.start(seconds * 1000, (late) => answer.abort(late));
  try {
    const method = (request.method ?? 'GET') as Dispatcher.HttpMethod;
    const headers = requestHeaders(request, exchange);
    lease.client.dispatch({ method, path, headers, body: bodyOf(request) }, answer);
    await Promise.all([answer.ended(), sent()]);
    await failpoint('response.ended');
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (!limit.expired) throw await lease.explain(error);
    if (!response.headersSent) lease.retire();
    throw new VmletError('REQUEST_TIMEOUT', { operands: { seconds }, cause: error });
  }
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
