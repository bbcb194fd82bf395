/** The launcher's end of the control channel: one socket to init0, frames both ways. */
import { writeSync } from 'fs';
import { Socket } from 'net';
import { encodeFrame, type Frame, FrameDecoder, ProtocolError } from './frames.ts';

/** Names the descriptor of the channel. */
export const FD_VARIABLE = 'VMLET_CONTROL_FD';

/** What the end of the channel means: without init0 nobody can use this machine any more. */
const END: Frame = { type: 'halt', graceMs: 0 };

export class Control {
  /** The channel's descriptor. */
  readonly fd: number;
  private readonly socket: Socket;
  private readonly decoder = new FrameDecoder();
  private readonly onFrame: (frame: Frame) => void;
  /** Decoded, and not yet given to `onFrame`. */
  private readonly pending: Frame[] = [];
  private ended = false;

  /** `onFrame` is called with each frame; with a `halt` at the channel's end, and after a malformed frame. */
  constructor(fd: number, onFrame: (frame: Frame) => void) {
    this.fd = fd;
    this.onFrame = onFrame;
    this.socket = new Socket({ fd, readable: true, writable: false });
    this.socket.on('data', (chunk: Buffer) => this.take(chunk));
    this.socket.on('error', () => this.end());
    this.socket.on('end', () => this.end());
  }

  /** Takes the channel over. The program and its children see neither the variable nor the descriptor. */
  static fromEnvironment(onFrame: (frame: Frame) => void): Control {
    const named = process.env[FD_VARIABLE] ?? '';
    if (!/^\d+$/.test(named)) throw new Error(`Cannot start: ${FD_VARIABLE} is "${named}", expected a descriptor`);
    delete process.env[FD_VARIABLE];
    return new Control(Number(named), onFrame);
  }

  /**
   * Writes one frame before it returns, so that it is out even if the process ends next. The socket never blocks, and
   * no frame here is longer than its empty buffer. A channel that has ended is no error: nobody is left to be told.
   */
  send(frame: Frame): void {
    const bytes = encodeFrame(frame);
    try {
      for (let offset = 0; offset < bytes.length && !this.ended; ) offset += writeSync(this.fd, bytes, offset);
    } catch {
      this.ended = true;
    }
  }

  /** From now on the channel does not keep the process alive: whether it goes on is the program's to say. */
  unref(): void {
    this.socket.unref();
  }

  /** What of the channel is still to be taken, if `frame` is taken anew: itself, and all that came behind it. */
  unread(frame: Frame): Buffer {
    return Buffer.concat([...[frame, ...this.pending].map(encodeFrame), this.decoder.unfinished()]);
  }

  /** Takes bytes as if they came over the channel. */
  take(chunk: Buffer): void {
    if (this.ended) return;
    try {
      this.pending.push(...this.decoder.push(chunk));
    } catch (error) {
      this.pending.push(...(error instanceof ProtocolError ? error.decoded : []), END);
      this.ended = true;
      process.stderr.write(`vmlet: ${error instanceof Error ? error.message : error}\n`);
    }
    for (let frame = this.pending.shift(); frame !== undefined; frame = this.pending.shift()) this.onFrame(frame);
  }

  private end(): void {
    if (this.ended) return;
    this.ended = true;
    try {
      this.decoder.end();
    } catch (error) {
      process.stderr.write(`vmlet: ${error instanceof Error ? error.message : error}\n`);
    }
    this.onFrame(END);
  }
}
