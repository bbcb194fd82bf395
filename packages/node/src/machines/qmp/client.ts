import type { Duplex } from 'node:stream';
import { type QmpMessage, qmpMessage } from './schema.ts';

/** A QMP line longer than this ends the connection: QEMU's own answers are far shorter. In bytes. */
const MAX_LINE_BYTES = 1024 * 1024;

/** QEMU refused a command, sent something unreadable, or is gone. */
export class QmpError extends Error {
  override readonly name = 'QmpError';
}

interface Pending {
  command: string;
  resolve: (value: unknown) => void;
  reject: (reason: unknown) => void;
}

/**
 * Speaks QMP over a socket to QEMU: commands are answered in order, events come as they happen, nothing is polled.
 * Ends with its stream; each command still unanswered is then rejected.
 */
export class QmpClient {
  readonly #stream: Duplex;
  readonly #pending = new Map<number, Pending>();
  readonly #onEvent: (name: string, data: Record<string, unknown>) => void;
  readonly #greeted = Promise.withResolvers<void>();
  #nextId = 1;
  #partial = '';
  #closed: QmpError | undefined;

  constructor(stream: Duplex, onEvent: (name: string, data: Record<string, unknown>) => void) {
    this.#stream = stream;
    this.#onEvent = onEvent;
    // Nobody may be waiting for the greeting when the process dies.
    this.#greeted.promise.catch(() => {});
    stream.setEncoding('utf8');
    stream.on('data', (chunk: string) => this.#read(chunk));
    stream.on('error', (error) =>
      this.#close(new QmpError('Cannot speak to QEMU: its socket failed', { cause: error })),
    );
    stream.on('close', () => this.#close(new QmpError('Cannot speak to QEMU: it has closed its socket')));
  }

  /** Waits for the greeting and leaves negotiation mode. MUST be called once, before any other command. */
  async handshake(): Promise<void> {
    await this.#greeted.promise;
    await this.execute('qmp_capabilities');
  }

  /** Sends one command. Rejects with {@link QmpError} when QEMU refuses it or is gone. */
  execute(command: string, args?: Record<string, unknown>): Promise<unknown> {
    if (this.#closed) return Promise.reject(this.#closed);
    const id = this.#nextId++;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#pending.set(id, { command, resolve, reject });
    this.#stream.write(`${JSON.stringify({ execute: command, id, ...(args ? { arguments: args } : {}) })}\n`);
    return promise;
  }

  #read(chunk: string): void {
    const lines = (this.#partial + chunk).split('\n');
    this.#partial = lines.pop() ?? '';
    if (this.#partial.length > MAX_LINE_BYTES) {
      this.#close(new QmpError(`Cannot read from QEMU: a line has over ${MAX_LINE_BYTES} bytes`));
    }
    for (const line of lines) if (line.trim() !== '' && !this.#closed) this.#message(line);
  }

  #message(line: string): void {
    let message: QmpMessage;
    try {
      message = qmpMessage.parse(JSON.parse(line));
    } catch (cause) {
      this.#close(new QmpError(`Cannot read from QEMU: "${line.slice(0, 200)}" is no QMP message`, { cause }));
      return;
    }
    if ('QMP' in message) this.#greeted.resolve();
    else if ('event' in message) this.#onEvent(message.event, message.data ?? {});
    else this.#answer(message);
  }

  #answer(message: Extract<QmpMessage, { id?: number | undefined }>): void {
    const pending = this.#pending.get(message.id ?? -1);
    if (!pending) return;
    this.#pending.delete(message.id ?? -1);
    if ('error' in message) {
      pending.reject(new QmpError(`Cannot do "${pending.command}": QEMU says "${message.error.desc}"`));
    } else {
      pending.resolve(message.return);
    }
  }

  #close(reason: QmpError): void {
    if (this.#closed) return;
    this.#closed = reason;
    this.#greeted.reject(reason);
    for (const pending of this.#pending.values()) pending.reject(reason);
    this.#pending.clear();
    this.#stream.destroy();
  }
}
