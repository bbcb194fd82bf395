/** Failures that end the launcher, and the `failed` frame that tells the host of them. */
import { inspect } from 'util';
import type { Frame } from './frames.ts';

const DETAIL_BYTES = 65_536;
/** Of the encoded text: control characters take six bytes each, and the frame has to fit the socket's buffer. */
const ENCODED_BYTES = 98_304;
const MESSAGE_CHARS = 2_000;

/** What a failure stopped. */
export type Phase = 'load' | 'snapshot' | 'resume';

/** What stops a program from being loaded, or its snapshot. `code` is one of those in README.md, `message` becomes one line. */
export class Failure extends Error {
  readonly code: string;
  readonly detail: string;
  private readonly phase: Phase;

  /** `detail` is a stack, or empty. */
  constructor(code: string, message: string, { detail = '', phase = 'load' }: { detail?: string; phase?: Phase } = {}) {
    super(wellFormed(message.replace(/\s+/g, ' ').slice(0, MESSAGE_CHARS)));
    this.code = code;
    this.phase = phase;
    this.detail = firstBytes(wellFormed(detail));
  }

  /** The `failed` frame. */
  frame(): Frame {
    return { type: 'failed', phase: this.phase, code: this.code, message: this.message, detail: this.detail };
  }
}

/** `error` as Node would print it, without the frames of the launcher and of the module loader. */
export function stackOf(error: unknown): string {
  return shown(error)
    .split('\n')
    .filter((line) => !isOurs(line))
    .join('\n');
}

/** Name and message of what was thrown, whatever it is. */
export function summaryOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : `${shown(error)} was thrown`;
}

/** An error may say itself how it is shown, and fail in that. */
function shown(error: unknown): string {
  try {
    return inspect(error);
  } catch {
    return error instanceof Error ? String(error.stack) : typeof error;
  }
}

/** The `code` of an error of Node, if it has one. */
export function codeOf(error: unknown): string | undefined {
  const { code } = Object(error) as { code?: unknown };
  return typeof code === 'string' ? code : undefined;
}

function isOurs(line: string): boolean {
  return /^\s+at /.test(line) && (line.includes(__filename) || /[ (](node:)?internal\//.test(line));
}

/** Keeps the start: the first lines of a stack name the error. */
function firstBytes(text: string): string {
  let kept = cut(text, DETAIL_BYTES);
  while (Buffer.byteLength(JSON.stringify(kept)) > ENCODED_BYTES) kept = cut(kept, Buffer.byteLength(kept) / 2);
  return kept;
}

function cut(text: string, sizeBytes: number): string {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length <= sizeBytes) return text;
  // A character that the cut goes through ends as U+FFFD.
  return bytes
    .slice(0, sizeBytes)
    .toString('utf8')
    .replace(/\ufffd$/, '');
}

/** Replaces what UTF-8 cannot hold: messages may carry half surrogate pairs. */
function wellFormed(text: string): string {
  return text.replace(/[\ud800-\udfff]/gu, '\ufffd');
}
