import type { IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import type * as z from 'zod';
import { CliError } from '../errors.ts';
import { type BlockEntry, blocksSchema } from './block-schema.ts';
import { broken, expectStatus, type HttpRequest, nameOf, type Origin, readBytes, readText, send } from './http.ts';
import {
  type Check,
  checksSchema,
  type ListedProgram,
  type ListedRuntime,
  type LogEntry,
  logEntrySchema,
  programsSchema,
  runtimesSchema,
  statusSchema,
} from './owner-schema.ts';

/** What the packages of one program may come to, in bytes. */
const MAX_PACKAGES_BYTES = 512 * 1024 * 1024;

/**
 * The owner's commands, over the Unix socket of a node.
 * Each throws ProblemError if the node refuses, CliError `NODE_UNREACHABLE`, `ANSWER_BROKEN`, `ANSWER_UNEXPECTED`.
 */
export class OwnerClient {
  readonly #origin: Origin;

  constructor(socketPath: string) {
    this.#origin = { socketPath };
  }

  async status(signal: AbortSignal): Promise<z.output<typeof statusSchema>> {
    return await this.#json('/status', statusSchema, signal);
  }

  async programs(signal: AbortSignal): Promise<ListedProgram[]> {
    return (await this.#json('/programs', programsSchema, signal)).programs;
  }

  async runtimes(signal: AbortSignal): Promise<ListedRuntime[]> {
    return (await this.#json('/runtimes', runtimesSchema, signal)).runtimes;
  }

  async doctor(signal: AbortSignal): Promise<Check[]> {
    return (await this.#json('/doctor', checksSchema, signal)).checks;
  }

  /** The last lines of a log, and with `follow` those to come, until the signal aborts or the node stops. */
  async *logs(
    itemHash: string,
    { lines, follow, signal }: { lines: number; follow: boolean; signal: AbortSignal },
  ): AsyncGenerator<LogEntry> {
    const path = `/programs/${itemHash}/logs?lines=${lines}${follow ? '&follow=1' : ''}`;
    const answer = await this.#ask({ path, signal });
    try {
      for await (const line of createInterface({ input: answer, crlfDelay: Number.POSITIVE_INFINITY })) {
        if (line !== '') yield this.#parse(line, { schema: logEntrySchema, request: 'GET /programs/…/logs' });
      }
    } catch (error) {
      signal.throwIfAborted();
      throw error instanceof CliError ? error : broken(this.#origin, 'the log broke off', error);
    } finally {
      answer.destroy();
    }
    if (!answer.complete) throw broken(this.#origin, 'the log broke off');
  }

  /** Installs requirements inside a runtime: a zip goes in, a zip of site-packages comes out. */
  async install(runtime: string, archive: Uint8Array, { signal }: { signal: AbortSignal }): Promise<Uint8Array> {
    const headers = { 'content-type': 'application/zip', 'content-length': String(archive.length) };
    const path = `/install?runtime=${encodeURIComponent(runtime)}`;
    const answer = await this.#ask({ method: 'POST', path, headers, body: archive, signal });
    return await readBytes(answer, { origin: this.#origin, signal, maxBytes: MAX_PACKAGES_BYTES });
  }

  /** What the node has nothing to do with. */
  async blocks(signal: AbortSignal): Promise<BlockEntry[]> {
    return (await this.#json('/blocks', blocksSchema, signal)).entries;
  }

  async reloadBlocks(signal: AbortSignal): Promise<BlockEntry[]> {
    return (await this.#send({ method: 'POST', path: '/blocks/reload', signal }, blocksSchema)).entries;
  }

  async block(entry: BlockEntry, { signal }: { signal: AbortSignal }): Promise<BlockEntry[]> {
    const body = Buffer.from(JSON.stringify(entry));
    const headers = { 'content-type': 'application/json', 'content-length': String(body.length) };
    return (await this.#send({ method: 'POST', path: '/blocks', headers, body, signal }, blocksSchema)).entries;
  }

  /** `removed` is false if it was not blocked. */
  async unblock(what: string, signal: AbortSignal): Promise<{ removed: boolean; entries: BlockEntry[] }> {
    const path = `/blocks?what=${encodeURIComponent(what)}`;
    return await this.#send({ method: 'DELETE', path, signal }, blocksSchema);
  }

  async #json<T>(path: string, schema: z.ZodType<T>, signal: AbortSignal): Promise<T> {
    return await this.#send({ path, signal }, schema);
  }

  async #send<T>(request: HttpRequest, schema: z.ZodType<T>): Promise<T> {
    const { method = 'GET', path, signal } = request;
    const answer = await this.#ask(request);
    const text = await readText(answer, { origin: this.#origin, signal });
    return this.#parse(text, { schema, request: `${method} ${path}` });
  }

  async #ask(request: HttpRequest): Promise<IncomingMessage> {
    const answer = await send(this.#origin, request);
    const { method = 'GET', path, signal } = request;
    await expectStatus(answer, { wanted: [200], request: `${method} ${path}`, origin: this.#origin, signal });
    return answer;
  }

  #parse<T>(text: string, { schema, request }: { schema: z.ZodType<T>; request: string }): T {
    return parseAnswer(text, { schema, request, node: nameOf(this.#origin) });
  }
}

/**
 * Reads the JSON of an answer.
 * @throws CliError `ANSWER_UNEXPECTED`
 */
export function parseAnswer<T>(
  text: string,
  { schema, request, node }: { schema: z.ZodType<T>; request: string; node: string },
): T {
  const refuse = (found: string, cause: unknown) =>
    new CliError('ANSWER_UNEXPECTED', { operands: { node, request, found, expected: 'what its API says' }, cause });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw refuse('text that is not JSON', error);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw refuse(`"${issue?.path.join('.') ?? ''}" with the fault "${issue?.message ?? ''}"`, parsed.error);
}
