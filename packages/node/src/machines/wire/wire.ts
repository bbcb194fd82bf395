import type { Duplex } from 'node:stream';
import {
  encodeWireFrame,
  WIRE_KINDS,
  WIRE_LIMITS,
  WIRE_TYPES,
  WireDecoder,
  WireError,
  type WireFrame,
  type WireKind,
} from '@vmlet/guest-protocol/wire';
import { orAborted } from '../../deadline.ts';
import { StreamBroken, WireStream } from './stream.ts';

/** Numbers are never used again: what is sent to a stream that is over must not reach another. */
const LAST_STREAM_ID = 0xffff_ffff;

export interface WireEvents {
  /** Once, with what was found, when the guest breaks the protocol of the wire. */
  onMisbehaved: (found: string) => void;
}

/** What a stream is to be. */
export interface StreamRequest {
  kind: WireKind;
  payload: Buffer;
}

/**
 * The host's end of a machine's wire: streams into the guest, over one port. Everything that comes in is hostile; what
 * it can make the host hold is one window a stream.
 */
export class Wire {
  readonly #port: Duplex;
  readonly #events: WireEvents;
  readonly #decoder = new WireDecoder();
  readonly #streams = new Map<number, WireStream>();
  readonly #waiting: (() => void)[] = [];
  #nextId = 1;
  #closed: Error | undefined;

  constructor(port: Duplex, events: WireEvents) {
    this.#port = port;
    this.#events = events;
    port.on('data', (chunk: Buffer) => this.#read(chunk));
    port.on('drain', () => this.#drained());
    // The machine's end is told by its process, which gives the reason; this one only frees whoever waits to write.
    port.on('close', () => this.#drained());
  }

  /** How many streams are open. */
  get size(): number {
    return this.#streams.size;
  }

  /**
   * Opens a stream to a port of the guest's loopback.
   * @throws StreamBroken if nothing listens there; why the machine ended; the signal's reason
   */
  connect(port: number, signal?: AbortSignal): Promise<Duplex> {
    return this.open({ kind: WIRE_KINDS.TCP, payload: portPayload(port) }, signal);
  }

  /**
   * Has the guest open a connection to a port of its loopback and keep it for the first stream to that port of each
   * clone of the machine. The machine has no other stream and gets none any more.
   * @throws StreamBroken if nothing listens there; why the machine ended; the signal's reason
   */
  park(port: number, signal?: AbortSignal): Promise<void> {
    return this.#told({ kind: WIRE_KINDS.PARK, payload: portPayload(port) }, signal);
  }

  async #told(request: StreamRequest, signal?: AbortSignal): Promise<void> {
    try {
      const stream = await this.open(request, signal);
      stream.destroy();
    } catch (error) {
      // It is over without having been a stream, which is how the guest says that it is done.
      if (!(error instanceof StreamBroken) || error.errno !== 0) throw error;
    }
  }

  /**
   * Has the guest count streams from 1 again, as the host of each clone will. No stream may be open, and none but
   * `park` may follow.
   * @throws StreamBroken if the guest does not know how; why the machine ended; the signal's reason
   */
  async beginAnew(signal?: AbortSignal): Promise<void> {
    await this.#told({ kind: WIRE_KINDS.ANEW, payload: Buffer.alloc(0) }, signal);
  }

  /**
   * Opens a stream of any kind; what its payload is, the kind says.
   * @throws StreamBroken if the guest refuses it; why the machine ended; the signal's reason
   */
  async open({ kind, payload }: StreamRequest, signal?: AbortSignal): Promise<Duplex> {
    signal?.throwIfAborted();
    if (this.#closed) throw this.#closed;
    if (this.#streams.size >= WIRE_LIMITS.streams || this.#nextId > LAST_STREAM_ID) {
      throw new RangeError(`Cannot open a stream: ${this.#streams.size} are open, expected fewer`);
    }
    const stream = new WireStream(this.#nextId, this.#carrier);
    this.#nextId += 2;
    this.#streams.set(stream.id, stream);
    this.#send(encodeWireFrame({ type: WIRE_TYPES.OPEN, argument: kind, stream: stream.id, payload }));
    try {
      await (signal ? orAborted(stream.opened, signal) : stream.opened);
      return stream;
    } catch (error) {
      stream.destroy();
      throw error;
    }
  }

  /** Ends all streams with the reason why the machine ended. */
  close(reason: Error): void {
    this.#closed ??= reason;
    for (const stream of [...this.#streams.values()]) stream.abandon(reason);
    this.#port.destroy();
  }

  readonly #carrier = {
    send: (bytes: Buffer) => this.#send(bytes),
    whenReady: (callback: () => void) => {
      if (this.#port.writableNeedDrain && !this.#port.destroyed) this.#waiting.push(callback);
      else callback();
    },
    forget: (id: number) => void this.#streams.delete(id),
  };

  #send(bytes: Buffer): void {
    if (!this.#closed && this.#port.writable) this.#port.write(bytes);
  }

  #drained(): void {
    for (const callback of this.#waiting.splice(0)) callback();
  }

  #read(chunk: Buffer): void {
    if (this.#closed) return;
    try {
      this.#deliver(this.#decoder.push(chunk));
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      // What came whole before the bad frame is as good as if it had come alone.
      this.#deliver(error.decoded);
      this.#refuse(error.message);
    }
  }

  #deliver(frames: readonly WireFrame[]): void {
    for (const frame of frames) {
      if (this.#closed) return;
      const stream = this.#streams.get(frame.stream);
      const wrong = stream ? stream.accept(frame) : this.#strange(frame);
      if (wrong) this.#refuse(`Cannot take a frame: ${wrong}`);
    }
  }

  /** What a stream is sent that is not there: right if it was sent before the guest knew. */
  #strange(frame: WireFrame): string | undefined {
    const wasOpened = frame.stream % 2 === 1 && frame.stream < this.#nextId;
    return wasOpened && frame.type !== WIRE_TYPES.OPEN ? undefined : `stream ${frame.stream}, which was never opened`;
  }

  #refuse(found: string): void {
    if (this.#closed) return;
    const reason = new Error(found);
    this.close(reason);
    this.#events.onMisbehaved(found);
  }
}

function portPayload(port: number): Buffer {
  const payload = Buffer.allocUnsafe(2);
  payload.writeUInt16BE(port);
  return payload;
}
