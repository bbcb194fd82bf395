import type { Duplex } from 'node:stream';
import {
  encodeFrame,
  FrameDecoder,
  type GuestMessage,
  guestMessage,
  type HostMessage,
  ProtocolError,
} from '@vmlet/guest-protocol';

/** The guest said something that its protocol does not allow; its machine is not worth keeping. */
export class GuestMisbehaved extends Error {
  override readonly name = 'GuestMisbehaved';
}

export interface ChannelEvents {
  onMessage: (message: GuestMessage) => void;
  /** Once, when the guest breaks the protocol. The channel is closed then. */
  onMisbehaved: (error: GuestMisbehaved) => void;
}

/** The control channel to init0: frames out, checked messages in. Everything that comes in is hostile. */
export class ControlChannel {
  readonly #stream: Duplex;
  readonly #events: ChannelEvents;
  readonly #decoder = new FrameDecoder();
  #closed = false;

  constructor(stream: Duplex, events: ChannelEvents) {
    this.#stream = stream;
    this.#events = events;
    stream.on('data', (chunk: Buffer) => this.#read(chunk));
    // The machine's end is told by its process, not by this socket.
    stream.on('error', () => this.close());
    stream.on('close', () => this.close());
  }

  /** Queues one message for init0. A message to a machine that is gone is dropped: its end is on the way. */
  send(message: HostMessage): void {
    if (!this.#closed) this.#stream.write(encodeFrame(message));
  }

  close(): void {
    this.#closed = true;
    this.#stream.destroy();
  }

  #read(chunk: Buffer): void {
    if (this.#closed) return;
    try {
      this.#deliver(this.#decoder.push(chunk));
    } catch (error) {
      this.#refuse(error);
    }
  }

  #refuse(error: unknown): void {
    let cause = error;
    try {
      // What came whole before the bad frame was said, and may tell why the rest is bad.
      if (error instanceof ProtocolError) this.#deliver(error.decoded);
    } catch (earlier) {
      cause = earlier;
    }
    if (this.#closed) return;
    this.close();
    this.#events.onMisbehaved(
      new GuestMisbehaved('Cannot read from the guest: it broke the control protocol', { cause }),
    );
  }

  #deliver(frames: readonly object[]): void {
    for (const frame of frames) {
      if (this.#closed) return;
      this.#events.onMessage(guestMessage.parse(frame));
    }
  }
}
