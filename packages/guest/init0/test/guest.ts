import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import {
  creditPayload,
  encodeWireFrame,
  WIRE_TYPES,
  WireDecoder,
  type WireFrame,
  type WireType,
} from '@vmlet/guest-protocol/wire';
import { expect } from 'vitest';

/** The wire as a process of its own; the test is the host. */
export class Guest implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #port: Duplex;
  readonly #frames: AsyncGenerator<WireFrame>;
  readonly exit: Promise<unknown[]>;
  stderr = '';

  constructor(binary: string) {
    this.#process = spawn(binary, { stdio: ['ignore', 'ignore', 'pipe', 'pipe'] });
    this.exit = once(this.#process, 'close');
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.#port = this.#process.stdio[3] as Duplex;
    this.#port.on('error', () => {});
    this.#frames = this.#read();
  }

  async *#read(): AsyncGenerator<WireFrame> {
    const decoder = new WireDecoder();
    for await (const chunk of this.#port) yield* decoder.push(chunk);
  }

  say(type: WireType, frame: { stream?: number; argument?: number; payload?: Buffer } = {}): void {
    const { stream = 1, argument = 0, payload = Buffer.alloc(0) } = frame;
    this.#port.write(encodeWireFrame({ type, stream, argument, payload }));
  }

  raw(bytes: Buffer): void {
    this.#port.write(bytes);
  }

  open(port: number, stream = 1): void {
    const payload = Buffer.alloc(2);
    payload.writeUInt16BE(port);
    this.say(WIRE_TYPES.OPEN, { stream, argument: 1, payload });
  }

  async next(): Promise<WireFrame> {
    const { value, done } = await this.#frames.next();
    if (done) throw new Error(`The wire ended: ${this.stderr}`);
    return value;
  }

  /** The payloads of one stream, joined, until there are so many bytes; what else comes is looked at by `see`. */
  async bytes(count: number, { stream = 1, see = (_frame: WireFrame) => {} } = {}): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let have = 0; have < count; ) {
      const frame = await this.next();
      if (frame.type === WIRE_TYPES.DATA && frame.stream === stream) {
        parts.push(frame.payload);
        have += frame.payload.length;
        this.giveBack(frame);
      } else see(frame);
    }
    return Buffer.concat(parts);
  }

  /** Lets the guest send as much again as came in this frame. */
  giveBack({ type, stream, payload }: WireFrame): void {
    if (type === WIRE_TYPES.DATA) this.say(WIRE_TYPES.WINDOW, { stream, payload: creditPayload(payload.length) });
  }

  terminate(): void {
    this.#process.kill('SIGTERM');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill('SIGKILL');
    this.#port.destroy();
    await this.exit;
    expect(this.stderr).not.toContain('Sanitizer');
  }
}
