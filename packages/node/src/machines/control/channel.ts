import type { Duplex } from 'node:stream';
import { encodeFrame, FrameDecoder, type GuestMessage, guestMessage, type HostMessage } from '@vmlet/guest-protocol';

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
    try {
      for (const frame of this.#decoder.push(chunk)) {
        if (this.#closed) return;
        this.#events.onMessage(guestMessage.parse(frame));
      }
    } catch (cause) {
      if (this.#closed) return;
      this.close();
      this.#events.onMisbehaved(
        new GuestMisbehaved('Cannot read from the guest: it broke the control protocol', { cause }),
      );
    }
  }
}
