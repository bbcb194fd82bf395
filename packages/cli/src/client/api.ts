import type { IncomingMessage } from 'node:http';
import type { Envelope } from '@vmlet/messages';
import * as z from 'zod';
import { CliError } from '../errors.ts';
import { expectStatus, type HttpRequest, type Origin, readText, send } from './http.ts';
import { multipartBody, type Upload } from './multipart.ts';
import {
  aggregatesSchema,
  type MessageState,
  messageStateSchema,
  networkRuntimesSchema,
  type RuntimeDetail,
  runtimeDetailSchema,
} from './network-schema.ts';
import { parseAnswer } from './owner.ts';
import { type Price, priceSchema } from './price-schema.ts';

/** What the network API answers to a message, whatever became of it. */
const MESSAGE_STATUSES = [200, 202, 410, 422];

const publishedSchema = z.object({
  message_status: z.enum(['processed', 'pending', 'rejected', 'forgotten']),
  error_code: z.int().nullish(),
  details: z.object({ errors: z.array(z.unknown()) }).nullish(),
});

const storedFileSchema = z.object({ file_hash: z.string(), size: z.number() });

/** Which runtimes are asked for; all where nothing is said. */
export interface RuntimesQuery {
  addresses?: readonly string[];
  names?: readonly string[];
  page?: number;
  perPage?: number;
  signal: AbortSignal;
}

/** The public API of a node. Each method throws ProblemError, CliError `NODE_UNREACHABLE` and their like. */
export class PublicApi {
  readonly url: string;
  readonly #origin: Origin;

  constructor(url: string) {
    this.url = url;
    this.#origin = { url };
  }

  /** Whether the node holds bytes of this hash. */
  async holds(fileHash: string, signal: AbortSignal): Promise<boolean> {
    const path = `/api/v0/storage/raw/${fileHash}`;
    const answer = await send(this.#origin, { method: 'HEAD', path, signal });
    answer.resume();
    if (answer.statusCode === 404) return false;
    await expectStatus(answer, { wanted: [200], request: `HEAD ${path}`, origin: this.#origin, signal });
    return true;
  }

  /** Whether the node knows a message of this item_hash. */
  async knows(itemHash: string, signal: AbortSignal): Promise<boolean> {
    const path = `/api/v0/messages/${itemHash}/status`;
    const answer = await send(this.#origin, { path, signal });
    answer.resume();
    if (answer.statusCode === 404) return false;
    await expectStatus(answer, { wanted: [200], request: `GET ${path}`, origin: this.#origin, signal });
    return true;
  }

  /** Runtimes that are published there, the newest first, and what the operator has stand in for others. */
  async runtimes({ addresses = [], names = [], page = 1, perPage = 100, signal }: RuntimesQuery) {
    const query = new URLSearchParams({ pagination: String(perPage), page: String(page) });
    if (addresses.length > 0) query.set('addresses', addresses.join(','));
    if (names.length > 0) query.set('names', names.join(','));
    return await this.#get(`/api/v0/runtimes.json?${query}`, networkRuntimesSchema, signal);
  }

  /**
   * One runtime, by its item_hash, `ADDRESS/NAME` or a name of the operator's.
   * @throws ProblemError `RUNTIME_UNKNOWN`
   */
  async runtime(ref: string, signal: AbortSignal): Promise<RuntimeDetail> {
    const path = ref.split('/').map(encodeURIComponent).join('/');
    return await this.#get(`/api/v0/runtimes/${path}`, runtimeDetailSchema, signal);
  }

  /** Members of an owner's AGGREGATE; none where there is none. */
  async aggregate(
    address: string,
    { key, signal }: { key: string; signal: AbortSignal },
  ): Promise<Readonly<Record<string, unknown>>> {
    const path = `/api/v0/aggregates/${encodeURIComponent(address)}.json?keys=${encodeURIComponent(key)}`;
    const answer = await send(this.#origin, { path, signal });
    const request = 'GET /api/v0/aggregates/...';
    await expectStatus(answer, { wanted: [200, 404], request, origin: this.#origin, signal });
    const text = await readText(answer, { origin: this.#origin, signal });
    if (answer.statusCode === 404) return {};
    return parseAnswer(text, { schema: aggregatesSchema, request, node: this.url }).data[key] ?? {};
  }

  /** What the node knows of a message. @throws ProblemError `MESSAGE_UNKNOWN`, `HASH_MALFORMED` */
  async message(itemHash: string, signal: AbortSignal): Promise<MessageState> {
    return await this.#get(`/api/v0/messages/${encodeURIComponent(itemHash)}`, messageStateSchema, signal);
  }

  /** The file that a STORE message stores. @throws ProblemError */
  async storedFile(itemHash: string, signal: AbortSignal): Promise<{ file_hash: string; size: number }> {
    return await this.#get(`/api/v0/storage/by-message-hash/${encodeURIComponent(itemHash)}`, storedFileSchema, signal);
  }

  /** What a message in force costs. @throws ProblemError `PRICE_NONE`, `PRICE_GONE`, `MESSAGE_UNKNOWN` */
  async price(itemHash: string, signal: AbortSignal): Promise<Price> {
    return await this.#get(`/api/v0/price/${itemHash}?include_size=true`, priceSchema, signal);
  }

  /** What a program of this content would cost; nothing is published. */
  async estimateProgram(content: object, signal: AbortSignal): Promise<Price> {
    const path = '/api/v0/price/estimate';
    const headers = { 'content-type': 'application/json' };
    const message = { type: 'PROGRAM', item_type: 'inline', item_content: JSON.stringify(content) };
    const text = await this.#ask({ method: 'POST', path, headers, body: JSON.stringify({ message }), signal });
    return parseAnswer(text, { schema: priceSchema, request: `POST ${path}`, node: this.url });
  }

  /** Sends a file after the signed STORE message that names it. What became of the message is for `publish` to ask. */
  async addFile(message: Envelope, file: Upload, { signal }: { signal: AbortSignal }): Promise<void> {
    const { contentType, sizeBytes, body } = multipartBody(JSON.stringify({ message, sync: true }), file);
    const headers = { 'content-type': contentType, 'content-length': String(sizeBytes) };
    const path = '/api/v0/storage/add_file';
    await this.#ask({ method: 'POST', path, headers, body, signal });
  }

  /**
   * Publishes a message and waits until it is applied. Publishing it again is harmless.
   * @throws CliError `MESSAGE_REJECTED` if it is anything but processed
   */
  async publish(message: Envelope, signal: AbortSignal): Promise<void> {
    const path = '/api/v0/messages';
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify({ message, sync: true });
    const text = await this.#ask({ method: 'POST', path, headers, body, signal });
    const answer = parseAnswer(text, { schema: publishedSchema, request: `POST ${path}`, node: this.url });
    if (answer.message_status === 'processed') return;
    const { item_hash: itemHash, type } = message;
    const errors = (answer.details?.errors ?? []).map((error) =>
      typeof error === 'string' ? error : JSON.stringify(error),
    );
    const reasons = [`error code ${answer.error_code ?? 'none'}`, ...errors].join('; ');
    const next =
      answer.message_status === 'pending'
        ? 'It waits for something that is not there yet; try again in a while'
        : 'Correct what the node names, then try again';
    throw new CliError('MESSAGE_REJECTED', {
      operands: { type, itemHash, status: answer.message_status, reasons, next },
    });
  }

  async #get<T>(path: string, schema: z.ZodType<T>, signal: AbortSignal): Promise<T> {
    const answer = await send(this.#origin, { path, signal });
    const request = `GET ${path.replace(/\?.*/, '')}`;
    await expectStatus(answer, { wanted: [200], request, origin: this.#origin, signal });
    const text = await readText(answer, { origin: this.#origin, signal });
    return parseAnswer(text, { schema, request, node: this.url });
  }

  async #ask(request: HttpRequest): Promise<string> {
    const { path, signal, method = 'GET' } = request;
    const answer: IncomingMessage = await send(this.#origin, request);
    const isMessage = /^application\/json\b/i.test(answer.headers['content-type'] ?? '');
    const wanted = isMessage ? MESSAGE_STATUSES : [];
    await expectStatus(answer, { wanted, request: `${method} ${path}`, origin: this.#origin, signal });
    return await readText(answer, { origin: this.#origin, signal });
  }
}
