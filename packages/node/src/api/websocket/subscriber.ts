import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { watchIdle } from '../../deadline.ts';
import type { WebSocketLimits } from './limits.ts';

/** A message as it goes out, and what it is known by. */
export interface Frame {
  readonly itemHash: string;
  readonly bytes: Buffer;
}

/**
 * One client of a WebSocket. Frames are written as they are, and never copied for it: what a client does not take is
 * bounded, and one that lets it grow is cut off.
 */
export class Subscriber {
  readonly #client: WebSocket;
  readonly #socket: Duplex;
  readonly #limits: WebSocketLimits;
  /** What came while earlier messages are being sent; undefined once they are. */
  #backlog: Frame[] | undefined;
  #backlogBytes = 0;

  constructor(client: WebSocket, socket: Duplex, limits: WebSocketLimits) {
    this.#client = client;
    this.#socket = socket;
    this.#limits = limits;
    // What a client says is not asked for; ws reads on only while somebody listens.
    client.on('message', () => {});
    client.on('error', () => client.terminate());
    client.on('ping', (data) => {
      // An answer to each, whether or not it takes them, would be memory of its choice.
      if (this.#isFull()) client.terminate();
      else client.pong(data);
    });
    if ('setTimeout' in socket) this.#watchSilence(socket as Socket);
  }

  /** Whether it can still be written to. */
  get isOpen(): boolean {
    return this.#client.readyState === this.#client.OPEN;
  }

  /** Calls back once, when the connection has ended in whatever way. */
  onClose(listener: () => void): void {
    this.#client.once('close', listener);
  }

  /** Writes messages; `batch` is the bytes of all of them. A client that has not taken enough is cut off. */
  take(frames: readonly Frame[], batch: Buffer): void {
    if (!this.isOpen) return;
    if (this.#backlog !== undefined) this.#keep(frames);
    else if (this.#isFull()) this.#client.terminate();
    else this.#socket.write(batch);
  }

  /** Sends earlier messages, each made when its turn comes, and then what came meanwhile and was not among them. */
  async sendFirst(earlier: Iterable<Frame>): Promise<void> {
    this.#backlog = [];
    const sent = new Set<string>();
    for (const { itemHash, bytes } of earlier) {
      sent.add(itemHash);
      if (!this.#socket.write(bytes)) await this.#drained();
      if (!this.isOpen) return;
    }
    // A message that was already among the earlier ones is told of in this turn at the latest.
    await new Promise((resolve) => setImmediate(resolve));
    const missed = this.#backlog.filter(({ itemHash }) => !sent.has(itemHash));
    this.#backlog = undefined;
    if (this.isOpen && missed.length > 0) this.#socket.write(Buffer.concat(missed.map(({ bytes }) => bytes)));
  }

  /** Closes with a code of RFC 6455. */
  close(code: number, reason: string): void {
    this.#client.close(code, reason);
  }

  #keep(frames: readonly Frame[]): void {
    for (const frame of frames) {
      this.#backlogBytes += frame.bytes.length;
      this.#backlog?.push(frame);
    }
    if (this.#backlogBytes > this.#limits.untakenBytes) this.#client.terminate();
  }

  #isFull(): boolean {
    return this.#socket.writableLength > this.#limits.untakenBytes;
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#socket.off('drain', done).off('close', done);
        resolve();
      };
      this.#socket.on('drain', done).on('close', done);
    });
  }

  #watchSilence(socket: Socket): void {
    let isAsked = false;
    this.#client.on('pong', () => {
      isAsked = false;
    });
    watchIdle(socket, this.#limits.silenceMs);
    socket.on('timeout', () => {
      if (isAsked) this.#client.terminate();
      else this.#client.ping();
      isAsked = true;
    });
  }
}
