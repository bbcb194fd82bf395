import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import {
  creditPayload,
  encodeWireFrame,
  WIRE_LIMITS,
  WIRE_TYPES,
  WireDecoder,
  type WireFrame,
} from '@vmlet/guest-protocol/wire';

const ECONNREFUSED = 111;
const ECONNRESET = 104;

/** A guest's end of the wire, in place of init0's: each stream that the host opens becomes a connection of `dial`. */
export function serveWire(port: Duplex, dial: (port: number) => Socket): void {
  const decoder = new WireDecoder();
  const streams = new Map<number, GuestStream>();
  const send = (type: WireFrame['type'], stream: number, rest: { argument?: number; payload?: Buffer } = {}) =>
    void port.write(encodeWireFrame({ type, argument: 0, stream, ...rest }));
  port.on('data', (chunk: Buffer) => {
    for (const frame of decoder.push(chunk)) {
      if (frame.type === WIRE_TYPES.OPEN) {
        const socket = dial(frame.payload.readUInt16BE());
        const end = () => streams.delete(frame.stream);
        streams.set(frame.stream, new GuestStream(socket, { id: frame.stream, send, end }));
      } else streams.get(frame.stream)?.accept(frame);
    }
  });
}

interface StreamOptions {
  id: number;
  send: (type: WireFrame['type'], stream: number, rest?: { argument?: number; payload?: Buffer }) => void;
  end: () => void;
}

class GuestStream {
  readonly #socket: Socket;
  readonly #options: StreamOptions;
  #credit: number = WIRE_LIMITS.windowBytes;
  #unsent: Buffer = Buffer.alloc(0);
  #opened = false;
  #ended = false;

  constructor(socket: Socket, options: StreamOptions) {
    this.#socket = socket;
    this.#options = options;
    socket.allowHalfOpen = true;
    socket.once('connect', () => {
      this.#opened = true;
      this.#say(WIRE_TYPES.OPENED);
    });
    socket.on('data', (chunk) => {
      this.#unsent = Buffer.concat([this.#unsent, chunk]);
      this.#pump();
    });
    socket.once('end', () => {
      this.#ended = true;
      this.#pump();
    });
    socket.once('error', () => {
      this.#say(this.#opened ? WIRE_TYPES.RESET : WIRE_TYPES.REFUSED, this.#opened ? ECONNRESET : ECONNREFUSED);
      options.end();
    });
  }

  accept(frame: WireFrame): void {
    if (frame.type === WIRE_TYPES.DATA) {
      const { length } = frame.payload;
      this.#socket.write(frame.payload, () => this.#say(WIRE_TYPES.WINDOW, 0, creditPayload(length)));
    } else if (frame.type === WIRE_TYPES.WINDOW) {
      this.#credit += frame.payload.readUInt32BE();
      this.#pump();
    } else if (frame.type === WIRE_TYPES.END) {
      this.#socket.end();
    } else {
      this.#options.end();
      this.#socket.destroy();
    }
  }

  #pump(): void {
    while (this.#unsent.length > 0 && this.#credit > 0) {
      const payload = this.#unsent.subarray(0, Math.min(this.#credit, WIRE_LIMITS.payloadBytes));
      this.#unsent = this.#unsent.subarray(payload.length);
      this.#credit -= payload.length;
      this.#say(WIRE_TYPES.DATA, 0, payload);
    }
    if (this.#unsent.length > 0) this.#socket.pause();
    else if (this.#ended) this.#say(WIRE_TYPES.END);
    else this.#socket.resume();
  }

  #say(type: WireFrame['type'], argument = 0, payload?: Buffer): void {
    this.#options.send(type, this.#options.id, { argument, ...(payload ? { payload } : {}) });
  }
}
