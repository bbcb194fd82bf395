import type { IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import type { Envelope } from '@vmlet/messages';
import type * as z from 'zod';
import { CliError } from '../errors.ts';
import { type BlockEntry, blocksSchema } from './block-schema.ts';
import { broken, expectStatus, type HttpRequest, nameOf, type Origin, readBytes, readText, send } from './http.ts';
import {
  type Check,
  checksSchema,
  importedSchema,
  type ListedProgram,
  type ListedRuntime,
  type LogEntry,
  logEntrySchema,
  programsSchema,
  runtimesSchema,
  statusSchema,
} from './owner-schema.ts';
import { type Usage, usageSchema } from './owner-usage.ts';

/** What the packages of one program may come to, in bytes. */
const MAX_PACKAGES_BYTES = 512 * 1024 * 1024;

/** What installs packages inside a runtime. */
export type Installer = 'pip' | 'npm';

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

  /** The node's figures, in the OpenMetrics text format. */
  async metrics(signal: AbortSignal): Promise<string> {
    return await readText(await this.#ask({ path: '/metrics', signal }), { origin: this.#origin, signal });
  }

  /** The last lines of a log, and with `follow` those to come, until the signal aborts or the node stops. */
  async *logs(
    itemHash: string,
    { lines, follow, signal }: { lines: number; follow: boolean; signal: AbortSignal },
  ): AsyncGenerator<LogEntry> {
    const path = `/programs/${itemHash}/logs?lines=${lines}${follow ? '&follow=1' : ''}`;
    yield* this.#lines({ path, signal }, logEntrySchema);
  }

  /** Installs packages inside a runtime: a zip of what names them goes in, a zip of what was installed comes out. */
  async install(
    { runtime, installer, archive }: { runtime: string; installer: Installer; archive: Uint8Array },
    { signal }: { signal: AbortSignal },
  ): Promise<Uint8Array> {
    const headers = { 'content-type': 'application/zip', 'content-length': String(archive.length) };
    const path = `/install?runtime=${encodeURIComponent(runtime)}&with=${installer}`;
    const answer = await this.#ask({ method: 'POST', path, headers, body: archive, signal });
    return await readBytes(answer, { origin: this.#origin, signal, maxBytes: MAX_PACKAGES_BYTES });
  }

  /** Has the node keep a file, whose bytes it checks against its name: a SHA-256 or a CID. */
  async importFile(
    hash: string,
    { body, signal }: { body: Uint8Array | AsyncIterable<Uint8Array>; signal: AbortSignal },
  ): Promise<void> {
    const headers = { 'content-type': 'application/octet-stream' };
    const path = `/imports/files/${encodeURIComponent(hash)}`;
    const answer = await this.#ask({ method: 'PUT', path, headers, body, signal });
    answer.resume();
  }

  /** Has the node take a message in, whoever signed it. */
  async importMessage(message: Envelope, signal: AbortSignal): Promise<z.output<typeof importedSchema>> {
    return await this.ask('POST', '/imports', { schema: importedSchema, body: { message }, signal });
  }

  /** What the node has nothing to do with. */
  async blocks(signal: AbortSignal): Promise<BlockEntry[]> {
    return (await this.ask('GET', '/blocks', { schema: blocksSchema, signal })).entries;
  }

  async reloadBlocks(signal: AbortSignal): Promise<BlockEntry[]> {
    return (await this.ask('POST', '/blocks/reload', { schema: blocksSchema, signal })).entries;
  }

  async block(entry: BlockEntry, { signal }: { signal: AbortSignal }): Promise<BlockEntry[]> {
    return (await this.ask('POST', '/blocks', { schema: blocksSchema, body: entry, signal })).entries;
  }

  /** `removed` is false if it was not blocked. */
  async unblock(what: string, signal: AbortSignal): Promise<{ removed: boolean; entries: BlockEntry[] }> {
    return await this.ask('DELETE', `/blocks?what=${encodeURIComponent(what)}`, { schema: blocksSchema, signal });
  }

  /** What each machine uses: a line at once, then one each `everyMs`, until the signal aborts or the node stops. */
  async *usage({ everyMs, signal }: { everyMs: number; signal: AbortSignal }): AsyncGenerator<Usage> {
    yield* this.#lines({ path: `/usage?everyMs=${everyMs}`, signal }, usageSchema);
  }

  /** Asks anything that is answered in JSON; a body is sent as JSON. */
  async ask<T>(
    method: string,
    path: string,
    { schema, body, signal }: { schema: z.ZodType<T>; body?: object; signal: AbortSignal },
  ): Promise<T> {
    const sent =
      body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
    const answer = await this.#ask({ method, path, ...sent, signal });
    const text = await readText(answer, { origin: this.#origin, signal });
    return this.#parse(text, { schema, request: `${method} ${path}` });
  }

  async #json<T>(path: string, schema: z.ZodType<T>, signal: AbortSignal): Promise<T> {
    return await this.ask('GET', path, { schema, signal });
  }

  /** An answer of a JSON document a line, as it comes. */
  async *#lines<T>(request: HttpRequest, schema: z.ZodType<T>): AsyncGenerator<T> {
    const answer = await this.#ask(request);
    const name = `GET ${request.path.replace(/\?.*/, '')}`;
    try {
      for await (const line of createInterface({ input: answer, crlfDelay: Number.POSITIVE_INFINITY })) {
        if (line !== '') yield this.#parse(line, { schema, request: name });
      }
    } catch (error) {
      request.signal.throwIfAborted();
      throw error instanceof CliError ? error : broken(this.#origin, 'it broke off', error);
    } finally {
      answer.destroy();
    }
    if (!answer.complete) throw broken(this.#origin, 'it broke off');
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
