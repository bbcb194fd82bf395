import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** A gateway bounds what one address has; the loopback has as many addresses as are wanted. */
const PER_ADDRESS = 200;
const UPGRADE = 'connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13';
const KEY = 'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==';

/** Many clients of one WebSocket that note when each message came, and nothing else of it. */
export interface Listeners extends Disposable {
  /** Waits until each has so many messages from now on. Of each client, when they came, on the clock of this process. */
  listen(messages: number): Promise<Float64Array[]>;
}

/** Connects them. Written for this: a general client takes more of the processor than the server that it listens to. */
export async function connectListeners(url: string, clients: number): Promise<Listeners> {
  const { host, hostname, port, pathname, search } = new URL(url);
  const all: Listener[] = [];
  for (let index = 0; index < clients; index++) {
    const localAddress = `127.0.0.${2 + Math.floor(index / PER_ADDRESS)}`;
    const socket = connect({ host: hostname, port: Number(port), localAddress, noDelay: true });
    await once(socket, 'connect');
    socket.write(`GET ${pathname}${search} HTTP/1.1\r\nhost: ${host}\r\n${UPGRADE}\r\n${KEY}\r\n\r\n`);
    const [head] = await once(socket, 'data');
    if (!/^HTTP\/1\.1 101 /.test(String(head))) throw new Error(`Cannot listen: ${head}`);
    all.push(new Listener(socket));
  }
  return {
    listen: (messages) => Promise.all(all.map((one) => one.listen(messages))),
    [Symbol.dispose]() {
      for (const one of all) one[Symbol.dispose]();
    },
  };
}

/** Of a frame, its length is read and its rest skipped. */
class Listener implements Disposable {
  readonly #socket: Socket;
  #times = new Float64Array();
  #count = 0;
  #skipBytes = 0;
  #head = Buffer.alloc(0);
  #done: PromiseWithResolvers<Float64Array> | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk) => this.#take(chunk));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#done?.reject(new Error('Cannot go on listening: the server closed a connection')));
  }

  listen(messages: number): Promise<Float64Array> {
    this.#times = new Float64Array(messages);
    this.#count = 0;
    this.#done = Promise.withResolvers();
    return this.#done.promise;
  }

  [Symbol.dispose](): void {
    this.#done = undefined;
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    const now = performance.now();
    let at = Math.min(this.#skipBytes, chunk.length);
    this.#skipBytes -= at;
    let end = this.#skipBytes === 0 && at > 0;
    for (;;) {
      if (end) this.#came(now);
      end = false;
      if (at >= chunk.length) return;
      const rest = this.#head.length === 0 ? chunk.subarray(at) : Buffer.concat([this.#head, chunk.subarray(at)]);
      const frame = frameIn(rest);
      if (frame === undefined) {
        this.#head = Buffer.from(rest);
        return;
      }
      const length = frame.headBytes + frame.bodyBytes - this.#head.length;
      this.#head = Buffer.alloc(0);
      this.#skipBytes = Math.max(0, at + length - chunk.length);
      at = Math.min(at + length, chunk.length);
      end = this.#skipBytes === 0;
    }
  }

  #came(now: number): void {
    if (this.#count < this.#times.length) this.#times[this.#count] = now;
    this.#count += 1;
    if (this.#count === this.#times.length) this.#done?.resolve(this.#times);
  }
}

/** The head of a frame that is not masked (RFC 6455, 5.2); undefined if more of it is to come. */
function frameIn(bytes: Buffer): { headBytes: number; bodyBytes: number } | undefined {
  const [, length] = bytes;
  if (length === undefined) return undefined;
  if (length < 126) return { headBytes: 2, bodyBytes: length };
  if (length === 126) return bytes.length < 4 ? undefined : { headBytes: 4, bodyBytes: bytes.readUInt16BE(2) };
  return bytes.length < 10 ? undefined : { headBytes: 10, bodyBytes: Number(bytes.readBigUInt64BE(2)) };
}
