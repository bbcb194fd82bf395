import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';
import { faultOfCoding, responseHeaders, responseTrailers } from './headers.ts';

/** A body that came whole and is no longer than this goes out together with its head, in one write. In bytes. */
const TOGETHER_BYTES = 16 * 1024;

export interface AnswerOptions {
  /** Headers of ours behind the program's: name, value, name, value. Asked for when the program's head is here. */
  extra: () => readonly string[];
  /** Called when the head is here and the body is passed on; the answer has not ended before it resolves. */
  onStarted: () => Promise<void>;
}

/**
 * Passes a program's answer on to a client as it comes: its head, each piece of its body, its trailers. The machine is
 * read no faster than the client takes it. It is on the way of every request, so it takes undici's own callbacks: a
 * stream, a promise or a signal in between costs more than the rest of the gateway.
 */
export class Answer implements Dispatcher.DispatchHandler {
  readonly #response: ServerResponse;
  readonly #options: AnswerOptions;
  readonly #ended = Promise.withResolvers<void>();
  #started: Promise<void> | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  /** Why it is over before its end. */
  #broken: Error | undefined;
  /** All of it is passed on: what the client does from here on is no matter to the machine. */
  #isDone = false;
  #isPassedOn = false;
  /** What has come before it may be passed on. */
  readonly #held: (() => void)[] = [];
  /** How long the body is by the program's own word; undefined if it did not say. */
  #lengthBytes: number | undefined;
  /** A whole body, which waits for the end of the answer that comes with it. */
  #whole: Buffer | undefined;

  constructor(response: ServerResponse, options: AnswerOptions) {
    this.#response = response;
    this.#options = options;
    this.#ended.promise.catch(() => {
      // Whoever waits for the end hears it; a fault before that is told in its place.
    });
    response.on('close', () => void (this.#isDone || this.abort(new Error('The client is gone'))));
  }

  /** Resolves when the whole answer has been passed on; rejects with why it broke off. */
  async ended(): Promise<void> {
    await this.#ended.promise;
    await this.#started;
  }

  /** Nothing is passed on before this is called. */
  passOn(): void {
    this.#isPassedOn = true;
    for (const step of this.#held.splice(0)) step();
  }

  /** Breaks off: the connection to the machine is cut, or never used for this request if it has none yet. */
  abort(reason: Error): void {
    if (this.#isDone || this.#broken !== undefined) return;
    this.#broken = reason;
    this.#controller?.abort(reason);
    this.#ended.reject(reason);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#broken !== undefined) controller.abort(this.#broken);
  }

  onResponseStart(controller: Dispatcher.DispatchController, statusCode: number, _headers: unknown, statusText = '') {
    // It announces an answer; this hop's client did not ask for it.
    if (statusCode < 200) return;
    const raw = rawHeaders(controller);
    const found = faultOfCoding(raw);
    // Nobody can tell where such an answer ends; its connection ends with it.
    if (found !== undefined) {
      throw new TypeError(`Cannot pass the answer on: ${found}, expected "chunked" or none`);
    }
    if (this.#isPassedOn) {
      this.#begin(statusCode, statusText, raw);
      return;
    }
    controller.pause();
    this.#held.push(() => {
      this.#begin(statusCode, statusText, raw);
      controller.resume();
    });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#response.destroyed) return;
    if (chunk.length === this.#lengthBytes && chunk.length <= TOGETHER_BYTES) this.#whole = chunk;
    else if (!this.#response.write(chunk)) {
      controller.pause();
      this.#response.once('drain', () => controller.resume());
    }
  }

  onResponseEnd(_controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void {
    if (this.#isPassedOn) this.#end(trailers);
    else this.#held.push(() => this.#end(trailers));
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    this.#broken ??= error;
    this.#ended.reject(this.#broken);
  }

  #begin(statusCode: number, statusText: string, raw: readonly string[]): void {
    if (this.#broken !== undefined || this.#response.destroyed) return;
    this.#lengthBytes = lengthOf(raw);
    this.#response.writeHead(statusCode, reasonOf(statusText), responseHeaders(raw, this.#options.extra()));
    this.#started = this.#options.onStarted();
  }

  #end(trailers: IncomingHttpHeaders): void {
    const response = this.#response;
    if (this.#broken === undefined && !response.destroyed) {
      const kept = responseTrailers(trailers);
      if (kept.length > 0) response.addTrailers(Object.fromEntries(kept));
      // As a text it joins the head; as bytes it would be a buffer and a write of its own.
      if (this.#whole === undefined) response.end();
      else response.end(this.#whole.toString('latin1'), 'latin1');
    }
    this.#isDone = true;
    this.#ended.resolve();
  }
}

/** As the program wrote them: name, value, name, value. */
function rawHeaders({ rawHeaders: raw }: Dispatcher.DispatchController): string[] {
  if (!Array.isArray(raw)) throw new TypeError('Cannot read the headers: an object found, expected a list');
  return raw.map((text) => (typeof text === 'string' ? text : text.toString('latin1')));
}

function lengthOf(raw: readonly string[]): number | undefined {
  for (let index = 0; index + 1 < raw.length; index += 2) {
    if (raw[index]?.length === 14 && raw[index]?.toLowerCase() === 'content-length') return Number(raw[index + 1]);
  }
  return undefined;
}

/** The program's reason phrase; one that HTTP does not allow is left out. */
function reasonOf(statusText: string): string | undefined {
  return /^[\t\x20-\x7e\x80-\xff]+$/.test(statusText) ? statusText : undefined;
}
