import type { Duplex } from 'node:stream';
import { orAborted } from '../deadline.ts';

/** How much of a machine's console is kept, in bytes: the kernel's last words and init0's. */
const CONSOLE_BYTES = 16 * 1024;

interface Waiting {
  pattern: RegExp;
  found: PromiseWithResolvers<string>;
}

/**
 * A machine's serial console: the last 16 KiB that it wrote, and a way to answer. It never fails and never grows: who
 * waits for words that do not come in time misses those that were followed by more than that.
 */
export class MachineConsole {
  #kept = Buffer.alloc(0);
  /** How much of what is kept nobody has waited for yet, in bytes. */
  #unseen = 0;
  #waiting: Waiting | undefined;
  readonly #stream: Duplex;

  constructor(stream: Duplex) {
    this.#stream = stream;
    stream.on('data', (chunk: Buffer) => {
      const all = Buffer.concat([this.#kept, chunk]);
      this.#kept = all.length > CONSOLE_BYTES ? all.subarray(all.length - CONSOLE_BYTES) : all;
      this.#unseen = Math.min(this.#unseen + chunk.length, this.#kept.length);
      this.#look();
    });
    // The other end closes with QEMU; what was read until then is what there is.
    stream.on('error', () => stream.destroy());
  }

  /** Types into the console. After the machine's end it does nothing. */
  write(text: string): void {
    if (this.#stream.writable) this.#stream.write(text);
  }

  /**
   * Waits for words of the machine, among those that came after the last ones that were waited for. One waits at a time.
   * It does not end with the machine: the caller waits for that too.
   * @returns what came, up to the end of the match
   * @throws the signal's reason
   */
  async until(pattern: RegExp, signal: AbortSignal): Promise<string> {
    const waiting = { pattern, found: Promise.withResolvers<string>() };
    this.#waiting = waiting;
    this.#look();
    return orAborted(waiting.found.promise, signal);
  }

  #look(): void {
    if (!this.#waiting) return;
    // One character for each byte, so that a place in the text is one in the bytes.
    const text = this.#kept.toString('latin1', this.#kept.length - this.#unseen);
    const match = this.#waiting.pattern.exec(text);
    if (!match) return;
    const end = match.index + match[0].length;
    this.#unseen -= end;
    this.#waiting.found.resolve(Buffer.from(text.slice(0, end), 'latin1').toString('utf8'));
    this.#waiting = undefined;
  }

  /** The text, safe to print. */
  tail(): string {
    return printable(this.#kept.toString('utf8'));
  }
}

/** A guest's words without the control characters that could speak to a terminal; lines stay lines. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is being removed
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '').trim();
}
