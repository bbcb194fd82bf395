import type { Readable } from 'node:stream';

/** How much of a machine's console is kept, in bytes: the kernel's last words and init0's. */
const CONSOLE_BYTES = 16 * 1024;

/** The last 16 KiB that a machine wrote to its serial console. Never fails, never grows. */
export class ConsoleRing {
  #kept = Buffer.alloc(0);

  constructor(source: Readable) {
    source.on('data', (chunk: Buffer) => {
      const all = Buffer.concat([this.#kept, chunk]);
      this.#kept = all.length > CONSOLE_BYTES ? all.subarray(all.length - CONSOLE_BYTES) : all;
    });
    // The other end closes with QEMU; what was read until then is what there is.
    source.on('error', () => source.destroy());
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
