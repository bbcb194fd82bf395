import type { Duplex } from 'node:stream';
import { WIRE_KINDS } from '@vmlet/guest-protocol/wire';
import { idleTimer } from '../../deadline.ts';
import type { Wire } from './wire.ts';

/** Where programs of a machine call the host: a Unix socket, which is the reference system's, and a port of the loopback. */
export const CALL_DOORS = { path: '/tmp/socat-socket', port: 4024 } as const;

/** Streams that wait in the guest for a program to call. */
const MAX_PARKED = 4;
/** Calls of one machine at the same time; more stand in line in the guest. */
const MAX_CALLS = 32;
/** Calls that a machine may begin at once, and in a second after that: each costs the node a connection. */
const MAX_BURST = 256;
const CALLS_PER_SECOND = 256;
const PAUSE_MS = 250;

/** Takes the stream of a program that has called. It MUST end or destroy it, and listen to its errors. */
export type CallHandler = (stream: Duplex) => void;

/**
 * The calls of one machine. Streams are opened ahead and wait in the guest, so that a guest never opens one; each that
 * a program has taken is handed over, and another one takes its place. A guest that refuses one gets no more.
 */
export class Calls implements Disposable {
  readonly #wire: Pick<Wire, 'open'>;
  readonly #handler: CallHandler;
  readonly #stop = new AbortController();
  readonly #taken = new Set<Duplex>();
  #parked = 0;
  /** Calls that may still begin, and when that was counted. */
  #allowance = MAX_BURST;
  #countedMs = performance.now();
  readonly #pause = idleTimer(PAUSE_MS, () => this.#refill());

  constructor(wire: Pick<Wire, 'open'>, handler: CallHandler) {
    this.#wire = wire;
    this.#handler = handler;
    this.#park();
  }

  /** Breaks all of them off, those that wait and those that a program holds. */
  [Symbol.dispose](): void {
    this.#pause[Symbol.dispose]();
    this.#stop.abort(new Error('Cannot take calls: they were ended'));
    for (const stream of this.#taken) stream.destroy();
  }

  #park(): void {
    while (!this.#stop.signal.aborted && this.#parked < MAX_PARKED && this.#parked + this.#taken.size < MAX_CALLS) {
      if (this.#allowance < 1) {
        this.#pause.arm();
        return;
      }
      this.#allowance--;
      this.#parked++;
      // Why there is none is told by the machine's end; a guest that refuses does without.
      this.#wire.open({ kind: WIRE_KINDS.CALL, payload: doors }, this.#stop.signal).then(
        (stream) => this.#take(stream),
        () => this.#stop.abort(),
      );
    }
  }

  #refill(): void {
    const nowMs = performance.now();
    this.#allowance = Math.min(MAX_BURST, this.#allowance + ((nowMs - this.#countedMs) * CALLS_PER_SECOND) / 1000);
    this.#countedMs = nowMs;
    this.#park();
  }

  #take(stream: Duplex): void {
    this.#parked--;
    if (this.#stop.signal.aborted) {
      stream.destroy();
      return;
    }
    this.#taken.add(stream);
    stream.once('close', () => {
      this.#taken.delete(stream);
      this.#refill();
    });
    this.#refill();
    this.#handler(stream);
  }
}

const portBytes = Buffer.alloc(2);
portBytes.writeUInt16BE(CALL_DOORS.port);
/** The payload of their OPEN. */
const doors = Buffer.concat([portBytes, Buffer.from(CALL_DOORS.path)]);
