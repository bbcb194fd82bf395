import { request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { Readable } from 'node:stream';
import { CliError } from '../errors.ts';
import { isProblemType, ProblemError, parseProblem } from './problem.ts';

/** Who is asked: a node's public URL, or its owner socket. */
export type Origin = { readonly url: string } | { readonly socketPath: string };

export interface HttpRequest {
  method?: string;
  /** Path and query, sent as they are. */
  path: string;
  headers?: OutgoingHttpHeaders;
  body?: string | Uint8Array | AsyncIterable<Uint8Array> | undefined;
  signal: AbortSignal;
}

/**
 * Sends a request and returns the answer when its head is there; the body is the answer itself, as a stream.
 * Nothing is followed, decoded or sent twice.
 * @throws CliError `NODE_UNREACHABLE`; the signal's reason
 */
export async function send(origin: Origin, request: HttpRequest): Promise<IncomingMessage> {
  const { signal, body } = request;
  signal.throwIfAborted();
  const answered = Promise.withResolvers<IncomingMessage>();
  const { make, options } = requestOptions(origin, request);
  const outgoing = make(options, answered.resolve);
  outgoing.on('error', answered.reject);
  if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) {
    outgoing.end(body);
  } else {
    // Not a pipeline: a node that refuses early is still heard, although the body is not taken.
    const source = Readable.from(body);
    source.on('error', (error) => outgoing.destroy(error));
    source.pipe(outgoing);
    outgoing.once('close', () => source.destroy());
  }
  try {
    return await answered.promise;
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw unreachable(origin, error);
  }
}

/**
 * The text of an answer's body.
 * @throws CliError `ANSWER_BROKEN` if it ends early or is longer than `maxBytes`; the signal's reason
 */
export async function readText(
  answer: IncomingMessage,
  { origin, signal, maxBytes = 16 * 1024 * 1024 }: { origin: Origin; signal: AbortSignal; maxBytes?: number },
): Promise<string> {
  return (await readBytes(answer, { origin, signal, maxBytes })).toString('utf8');
}

/** The bytes of an answer's body. Throws as {@link readText} does. */
export async function readBytes(
  answer: IncomingMessage,
  { origin, signal, maxBytes }: { origin: Origin; signal: AbortSignal; maxBytes: number },
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  try {
    for await (const chunk of answer) {
      sizeBytes += chunk.length;
      if (sizeBytes > maxBytes) throw broken(origin, `more than ${maxBytes} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw error instanceof CliError ? error : broken(origin, 'its end is missing', error);
  }
  return Buffer.concat(chunks);
}

/**
 * Passes for an answer with one of the statuses that are wanted.
 * @throws ProblemError if the node says why it is another; CliError `ANSWER_UNEXPECTED` if it does not
 */
export async function expectStatus(
  answer: IncomingMessage,
  { wanted, request, ...reading }: { wanted: readonly number[]; request: string; origin: Origin; signal: AbortSignal },
): Promise<void> {
  const status = answer.statusCode ?? 0;
  if (wanted.includes(status)) return;
  const isProblem = isProblemType(answer.headers['content-type']);
  const problem = isProblem ? parseProblem(await readText(answer, reading)) : undefined;
  answer.resume();
  if (problem !== undefined) throw new ProblemError(problem);
  const operands = { node: nameOf(reading.origin), request, found: `status ${status}`, expected: wanted.join(' or ') };
  throw new CliError('ANSWER_UNEXPECTED', { operands });
}

/** How an origin is named in errors. */
export function nameOf(origin: Origin): string {
  return 'url' in origin ? origin.url : origin.socketPath;
}

/** The error of an answer that broke off. */
export function broken(origin: Origin, found: string, cause?: unknown): CliError {
  return new CliError('ANSWER_BROKEN', { operands: { node: nameOf(origin), found }, cause });
}

function requestOptions(origin: Origin, { method = 'GET', path, headers = {}, signal }: HttpRequest) {
  const options: RequestOptions = { method, path, headers: { ...headers }, signal };
  if ('socketPath' in origin) {
    return { make: httpRequest, options: { ...options, socketPath: origin.socketPath, host: 'localhost' } };
  }
  const url = new URL(origin.url);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const base = url.pathname.replace(/\/$/, '');
  const port = url.port === '' ? undefined : Number(url.port);
  const make = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return { make, options: { ...options, host, ...(port === undefined ? {} : { port }), path: `${base}${path}` } };
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ENOENT: 'there is no such socket',
  ENOTFOUND: 'its host name is unknown',
  EAI_AGAIN: 'its host name cannot be looked up',
  ECONNRESET: 'the connection broke before the answer',
  EPIPE: 'the connection broke before the answer',
  EACCES: 'this user may not open it',
};

/** The error for a node that does not answer. */
export function unreachable(origin: Origin, error: unknown): CliError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const found = REASONS[code] ?? (error instanceof Error ? error.message : String(error));
  return new CliError('NODE_UNREACHABLE', { operands: { node: nameOf(origin), found }, cause: error });
}
