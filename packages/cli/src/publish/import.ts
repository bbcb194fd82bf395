import type { IncomingMessage } from 'node:http';
import {
  type Envelope,
  type FileHash,
  type ItemHash,
  itemHashOf,
  parseContent,
  readApiMessage,
  verifySignature,
} from '@vmlet/messages';
import { deadline, orAborted } from '@vmlet/node/deadline';
import { PublicApi } from '../client/api.ts';
import { broken, expectStatus, readText, send } from '../client/http.ts';
import type { OwnerClient } from '../client/owner.ts';
import { ProblemError } from '../client/problem.ts';
import { CliError } from '../errors.ts';
import type { Output } from '../output.ts';
import { ProgressBar } from '../progress-bar.ts';

/** A source from which nothing comes for so long is given up. In milliseconds. */
const STALL_MS = 60_000;
/** The content of a message that is kept as a file. In bytes. */
const MAX_CONTENT_BYTES = 4 * 1024 * 1024;

/** Where a message is fetched from, and who gets it. */
export interface ImportOptions {
  /** URL of the node that has it. */
  from: string;
  /** The node that gets it. */
  to: { url: string; owner: Pick<OwnerClient, 'importFile' | 'importMessage'> };
  output: Output;
  signal: AbortSignal;
  /** How long a source may send nothing, in milliseconds. */
  stallMs?: number;
}

/** A STORE that is on one's own node now. */
export interface Imported {
  /** Of its publisher. */
  readonly address: string;
  readonly fileHash: FileHash;
  readonly sizeBytes: number;
  /** Whether it was before. */
  readonly wasHere: boolean;
}

/**
 * Fetches a STORE message and its file from a node that need not be trusted: what does not hash to its name, or was
 * not signed by its sender, is not taken. The file is streamed to one's own node, which keeps nothing of one that is not
 * whole; running it again begins anew.
 * @throws CliError `IMPORT_REFUSED`, `IMPORT_STALLED`, `NODE_UNREACHABLE` and their like; ProblemError
 */
export async function importStore(itemHash: ItemHash, options: ImportOptions): Promise<Imported> {
  const { from, to, output, signal, stallMs = STALL_MS } = options;
  const source = new Source({ from, itemHash, stallMs, signal });
  output.step(`Asking ${from} for the message`);
  const envelope = await source.message();
  const text = envelope.item_content ?? (await source.content(envelope));
  const { address, item_hash: fileHash } = parseContent('STORE', text);
  const told = { address, fileHash };
  const known = await new PublicApi(to.url).message(itemHash, signal).catch(orUndefined);
  if (known?.status === 'processed') return { ...told, sizeBytes: 0, wasHere: true };
  // Whoever made the content a file has signed that file's hash.
  if (envelope.item_content === undefined) {
    await to.owner.importFile(itemHash, { body: Buffer.from(text), signal }).catch(source.explain);
  }
  const sizeBytes = await source.file(fileHash, { to: to.owner, output });
  output.step('Handing over the message');
  const { status, errors } = await to.owner.importMessage(envelope, signal);
  if (status !== 'processed') {
    throw source.refused(`your node has it as ${status} (${errors.join('; ')})`, 'it to be in force');
  }
  return { ...told, sizeBytes, wasHere: false };
}

interface SourceOptions {
  from: string;
  itemHash: ItemHash;
  stallMs: number;
  signal: AbortSignal;
}

/** The node that is fetched from: hostile, as far as anybody knows. */
class Source {
  readonly #options: SourceOptions;
  readonly #origin: { url: string };

  constructor(options: SourceOptions) {
    this.#options = options;
    this.#origin = { url: options.from };
  }

  /** The message, with a signature that is its sender's. */
  async message(): Promise<Envelope> {
    const { from, itemHash } = this.#options;
    const state = await this.#within((signal) => new PublicApi(from).message(itemHash, signal));
    if (state.status !== 'processed' || state.message == null) {
      throw this.refused(`it has it as ${state.status}`, 'it to be in force there');
    }
    const { envelope } = this.#read(() => readApiMessage(state.message));
    if (envelope.item_hash !== itemHash) throw this.refused(`the message "${envelope.item_hash}"`, 'the one asked for');
    const signed = verifySignature(envelope);
    if (!signed.ok) throw this.refused(signed.reason, 'a signature of its sender');
    if (envelope.type !== 'STORE') throw this.refused(`it is a ${envelope.type}`, 'a STORE');
    return envelope;
  }

  /** The content of a message that is kept as a file; one that is named by a CID is checked by who stores it. */
  async content({ item_hash: itemHash, item_type: type }: Envelope): Promise<string> {
    const text = await this.#within(async (signal) => {
      const answer = await this.#raw(itemHash, signal);
      return await readText(answer, { origin: this.#origin, signal, maxBytes: MAX_CONTENT_BYTES });
    });
    if (type !== 'storage' || itemHashOf(text) === itemHash) return text;
    throw this.refused('a content that does not hash to it', 'the one that was signed');
  }

  /** Streams a file to a node, which checks it. @returns its size in bytes */
  async file(
    fileHash: FileHash,
    { to, output }: { to: Pick<OwnerClient, 'importFile'>; output: Output },
  ): Promise<number> {
    const { signal } = this.#options;
    const answer = await this.#within((limited) => this.#raw(fileHash, signal, limited));
    const length = Number(answer.headers['content-length']);
    const totalBytes = Number.isSafeInteger(length) && length > 0 ? length : undefined;
    const bar = new ProgressBar(output, { step: 'Fetching', totalBytes });
    let failure: unknown;
    let sizeBytes = 0;
    const chunks = async function* (this: Source) {
      try {
        for await (const chunk of this.#chunks(answer)) {
          sizeBytes += chunk.length;
          bar.add(chunk.length);
          yield chunk;
        }
      } catch (error) {
        failure =
          error instanceof CliError || signal.aborted ? error : broken(this.#origin, 'its end is missing', error);
        throw failure;
      }
    };
    try {
      await to.importFile(fileHash, { body: chunks.call(this), signal });
    } catch (error) {
      return this.explain(failure ?? error);
    } finally {
      answer.destroy();
    }
    return sizeBytes;
  }

  /** What the other node sent is not what it should be. */
  refused(found: string, expected: string, cause?: unknown): CliError {
    const { itemHash, from } = this.#options;
    return new CliError('IMPORT_REFUSED', { operands: { itemHash, node: from, found, expected }, cause });
  }

  /** A refusal of one's own node, for what the other one sent. */
  readonly explain = (error: unknown): never => {
    if (error instanceof ProblemError && error.problem.code === 'CONTENT_HASH_MISMATCH') {
      throw this.refused('other bytes', 'those that hash to the name of the file', error);
    }
    throw error;
  };

  async #raw(hash: string, signal: AbortSignal, limited: AbortSignal = signal): Promise<IncomingMessage> {
    const path = `/api/v0/storage/raw/${hash}`;
    const answer = await orAborted(send(this.#origin, { path, signal }), limited);
    const expected = { wanted: [200], request: `GET ${path}`, origin: this.#origin, signal: limited };
    await expectStatus(answer, expected);
    return answer;
  }

  async *#chunks(answer: IncomingMessage): AsyncGenerator<Buffer> {
    const iterator: AsyncIterator<Buffer> = answer[Symbol.asyncIterator]();
    for (;;) {
      const next = await this.#within((signal) => orAborted(iterator.next(), signal));
      if (next.done) return;
      yield next.value;
    }
  }

  /** A wait for the other node that does not last for ever. */
  async #within<T>(wait: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { signal, stallMs, itemHash, from } = this.#options;
    using limit = deadline(stallMs, signal);
    try {
      return await wait(limit.signal);
    } catch (error) {
      if (!limit.expired) throw error;
      const operands = { itemHash, node: from, seconds: Math.round(stallMs / 1000) };
      throw new CliError('IMPORT_STALLED', { operands, cause: error });
    }
  }

  #read<T>(read: () => T): T {
    try {
      return read();
    } catch (cause) {
      throw this.refused(cause instanceof Error ? cause.message : String(cause), 'a message of the network', cause);
    }
  }
}

/** Nothing where the node knows no such message. */
function orUndefined(error: unknown): undefined {
  const isUnknown = error instanceof ProblemError && error.problem.code === 'MESSAGE_UNKNOWN';
  if (!isUnknown) throw error;
}
