import { Duplex } from 'node:stream';
import { getSystemErrorName } from 'node:util';
import { creditPayload, encodeWireFrame, WIRE_LIMITS, WIRE_TYPES, type WireFrame } from '@vmlet/guest-protocol/wire';
import { ByteQueue } from './byte-queue.ts';

/** What a consumer that does not read keeps beside the window, in bytes. */
const READ_AHEAD_BYTES = 32 * 1024;
const WRITE_AHEAD_BYTES = 64 * 1024;

const { payloadBytes, windowBytes } = WIRE_LIMITS;

/** A stream that its guest did not open, or broke off. `code` is an errno's name, as sockets have it. */
export class StreamBroken extends Error {
  override readonly name = 'StreamBroken';
  readonly code: string;
  /** As the guest gave it: 0 says that nothing failed. */
  readonly errno: number;
  constructor(verb: 'open' | 'go on with', errno: number) {
    const code = errno === 0 ? 'ECONNRESET' : systemErrorName(errno);
    super(`Cannot ${verb} a stream of the machine: ${code}`);
    this.code = code;
    this.errno = errno;
  }
}

/** What a stream needs of the wire that carries it. */
export interface Carrier {
  send(bytes: Buffer): void;
  /** Calls back as soon as the wire takes more. */
  whenReady(callback: () => void): void;
  forget(id: number): void;
}

/**
 * One stream of a wire, with half-close and backpressure both ways: it behaves as a socket does. Destroying it breaks
 * the guest's side off. What it holds unread is bounded by the window.
 */
export class WireStream extends Duplex {
  readonly id: number;
  readonly #carrier: Carrier;
  readonly #opened = Promise.withResolvers<void>();
  #state: 'opening' | 'open' = 'opening';
  /** Nothing more is to be said to the guest: it has ended, refused or broken off the stream, or the wire is gone. */
  #silent = false;
  readonly #held = new ByteQueue();
  /** Whether `_read` has asked for bytes and got none yet. */
  #wanted = false;
  /** What the guest may still send. */
  #window = windowBytes;
  /** What the consumer has taken and the guest was not told of. */
  #owed = 0;
  #guestEnded = false;
  /** Why the guest broke the stream off, while there is something to read of what it said before. */
  #broken: Error | undefined;
  #hostEnded = false;
  /** What may still be sent to the guest. */
  #credit = windowBytes;
  #pending: Buffer | undefined;
  #written: ((error?: Error | null) => void) | undefined;

  constructor(id: number, carrier: Carrier) {
    super({ allowHalfOpen: true, readableHighWaterMark: READ_AHEAD_BYTES, writableHighWaterMark: WRITE_AHEAD_BYTES });
    this.id = id;
    this.#carrier = carrier;
    this.#opened.promise.catch(() => {
      // Whoever waits for it hears it; nobody may.
    });
    // Its user learns of an error by its own listeners; one that nobody listened to would end the node.
    this.on('error', () => {});
  }

  /** Resolves when the guest has opened it; rejects with why it did not. */
  get opened(): Promise<void> {
    return this.#opened.promise;
  }

  /** Takes a frame of the guest. Returns what is wrong with it, if it does not fit the stream's state. */
  accept(frame: WireFrame): string | undefined {
    if (frame.type === WIRE_TYPES.RESET) return this.#takeReset(new StreamBroken('go on with', frame.argument));
    if (this.#state === 'opening') return this.#takeAnswer(frame);
    switch (frame.type) {
      case WIRE_TYPES.DATA:
        return this.#takeData(frame.payload);
      case WIRE_TYPES.WINDOW:
        return this.#takeCredit(frame.payload.readUInt32BE());
      case WIRE_TYPES.END:
        return this.#takeEnd();
      default:
        return `a frame of type ${frame.type} on an open stream`;
    }
  }

  /** Ends the stream because its wire is gone: nothing is said to the guest. */
  abandon(reason: Error): void {
    this.#break(reason);
  }

  /** What came before a RESET is given first: a program may answer, and close without having read all. */
  override read(size?: number): Buffer | null {
    const chunk = super.read(size);
    if (this.#broken && !this.#isUnread) process.nextTick(() => this.destroy(this.#broken));
    return chunk;
  }

  get #isUnread(): boolean {
    return this.readableLength > 0 || !this.#held.isEmpty;
  }

  override _read(): void {
    if (!this.#held.isEmpty) this.#give(this.#held.shift());
    else if (this.#guestEnded) this.push(null);
    else this.#wanted = true;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#pending = chunk;
    this.#written = callback;
    this.#flush();
  }

  /** What is written together goes in as few frames as it can. */
  override _writev(chunks: { chunk: Buffer }[], callback: (error?: Error | null) => void): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), 'utf8', callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#hostEnded = true;
    this.#say(WIRE_TYPES.END);
    callback();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (!(this.#hostEnded && this.#guestEnded)) this.#say(WIRE_TYPES.RESET);
    this.#silent = true;
    this.#carrier.forget(this.id);
    this.#held.clear();
    const reason = error ?? new StreamBroken('go on with', 0);
    this.#opened.reject(reason);
    this.#written?.(reason);
    this.#written = undefined;
    callback(error);
  }

  #takeAnswer({ type, argument }: WireFrame): string | undefined {
    if (type === WIRE_TYPES.REFUSED) return this.#break(new StreamBroken('open', argument));
    if (type !== WIRE_TYPES.OPENED) return `a frame of type ${type} on a stream that is not open`;
    this.#state = 'open';
    this.#opened.resolve();
    return undefined;
  }

  #takeReset(reason: Error): undefined {
    if (!this.#isUnread) return this.#break(reason);
    this.#silent = true;
    this.#broken ??= reason;
  }

  #takeData(payload: Buffer): string | undefined {
    if (this.#guestEnded) return 'DATA after END';
    if (payload.length > this.#window) return 'DATA beyond the window';
    this.#window -= payload.length;
    if (!this.#wanted) {
      this.#held.append(payload);
      return undefined;
    }
    this.#wanted = false;
    // A slice keeps all that was read with it.
    this.#give(payload.buffer.byteLength > 2 * payload.length ? Buffer.from(payload) : payload);
    return undefined;
  }

  #takeCredit(bytes: number): string | undefined {
    if (bytes > windowBytes - this.#credit) return 'a WINDOW beyond what was sent';
    this.#credit += bytes;
    this.#flush();
    return undefined;
  }

  #takeEnd(): string | undefined {
    if (this.#guestEnded) return 'END twice';
    this.#guestEnded = true;
    if (this.#wanted) this.push(null);
    return undefined;
  }

  /** Hands bytes to the consumer, and gives the guest that much window back: half of it at a time. */
  #give(bytes: Buffer): void {
    this.#owed += bytes.length;
    if (this.#owed >= windowBytes / 2 && !this.#guestEnded) {
      this.#window += this.#owed;
      this.#say(WIRE_TYPES.WINDOW, creditPayload(this.#owed));
      this.#owed = 0;
    }
    this.push(bytes);
  }

  #flush(): void {
    while (this.#pending && this.#pending.length > 0 && this.#credit > 0) {
      const part = this.#pending.subarray(0, Math.min(this.#credit, payloadBytes));
      this.#pending = this.#pending.subarray(part.length);
      this.#credit -= part.length;
      this.#say(WIRE_TYPES.DATA, part);
    }
    if (!this.#pending || this.#pending.length > 0) return;
    const written = this.#written;
    this.#pending = undefined;
    this.#written = undefined;
    if (written) this.#carrier.whenReady(written);
  }

  #say(type: WireFrame['type'], payload?: Buffer): void {
    if (this.#silent) return;
    this.#carrier.send(encodeWireFrame({ type, argument: 0, stream: this.id, ...(payload ? { payload } : {}) }));
  }

  #break(reason: Error): undefined {
    this.#silent = true;
    this.destroy(reason);
  }
}

function systemErrorName(errno: number): string {
  try {
    return getSystemErrorName(-errno);
  } catch {
    // A number that this system has no name for.
    return `errno ${errno}`;
  }
}
