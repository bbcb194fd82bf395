import { MAX_DEPTH, MAX_FRAME_BYTES } from './limits.ts';

const HEADER_BYTES = 4;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Why a frame was refused. Every implementation reports the same code for the same bytes: see `vectors/frames.json`. */
export type ProtocolErrorCode =
  | 'FRAME_EMPTY'
  | 'FRAME_TOO_LONG'
  | 'FRAME_TRUNCATED'
  | 'FRAME_NOT_UTF8'
  | 'FRAME_TOO_DEEP'
  | 'FRAME_NOT_JSON'
  | 'FRAME_NOT_OBJECT'
  | 'FRAME_NO_TYPE';

/** A breach of the frame format. The connection it came from cannot be used any more; trying again does not help. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  readonly code: ProtocolErrorCode;
  /** The frames that arrived whole before the bad one in the same `push`, in order: they are not returned otherwise. */
  readonly decoded: readonly object[];

  constructor(code: ProtocolErrorCode, message: string, options: ErrorOptions & { decoded?: readonly object[] } = {}) {
    super(message, options);
    this.code = code;
    this.decoded = options.decoded ?? [];
  }
}

/**
 * The bytes of one frame: length, then the object as JSON.
 *
 * @throws ProtocolError for an object that no peer would accept: too long, too deep, no string `type`, or a string with
 * half a surrogate pair.
 */
export function encodeFrame(object: object): Buffer {
  const text = JSON.stringify(object);
  const sizeBytes = Buffer.byteLength(text);
  if (sizeBytes > MAX_FRAME_BYTES) throw lengthError('encode', sizeBytes);
  const frame = Buffer.allocUnsafe(HEADER_BYTES + sizeBytes);
  frame.writeUInt32BE(sizeBytes, 0);
  frame.write(text, HEADER_BYTES);
  checkDepth(frame.subarray(HEADER_BYTES), 'encode');
  checkShape(object, text, 'encode');
  return frame;
}

/**
 * Cuts a byte stream into frames. One decoder per connection and direction. It holds at most one unfinished frame, so
 * MAX_FRAME_BYTES of memory, and copies each byte at most once, however the stream was chunked.
 */
export class FrameDecoder {
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerBytes = 0;
  #body: Buffer | undefined;
  #bodyBytes = 0;
  #error: ProtocolError | undefined;

  /**
   * Takes the next bytes and returns the frames that they complete, each an object with a string `type`. The chunk may
   * be reused by the caller afterwards.
   *
   * @throws ProtocolError on the first malformed frame, and the same error on every later call.
   */
  push(chunk: Uint8Array): object[] {
    if (this.#error) throw this.#error;
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const decoded: object[] = [];
    try {
      let offset = 0;
      while (offset < bytes.length) offset = this.#take(bytes, { offset, decoded });
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#error = new ProtocolError(error.code, error.message, { cause: error.cause, decoded });
      throw this.#error;
    }
    return decoded;
  }

  /**
   * Says that the stream has ended.
   *
   * @throws ProtocolError FRAME_TRUNCATED when it ended inside a frame, or the error of an earlier `push`.
   */
  end(): void {
    if (this.#error) throw this.#error;
    if (this.#headerBytes === 0) return;
    const wanted = this.#body ? `${this.#body.length} bytes of body` : `${HEADER_BYTES} bytes of length`;
    const found = this.#body ? this.#bodyBytes : this.#headerBytes;
    this.#error = new ProtocolError(
      'FRAME_TRUNCATED',
      `Cannot decode frame: the stream ended after ${found}, expected ${wanted}`,
    );
    throw this.#error;
  }

  /** Consumes a part of `bytes` from `offset` on and returns the new offset. */
  #take(bytes: Buffer, into: { offset: number; decoded: object[] }): number {
    if (this.#headerBytes < HEADER_BYTES) {
      const copied = bytes.copy(this.#header, this.#headerBytes, into.offset);
      this.#headerBytes += copied;
      if (this.#headerBytes === HEADER_BYTES) checkLength(this.#header.readUInt32BE(0));
      return into.offset + copied;
    }
    const sizeBytes = this.#header.readUInt32BE(0);
    if (!this.#body && bytes.length - into.offset >= sizeBytes) {
      const end = into.offset + sizeBytes;
      into.decoded.push(decodeBody(bytes.subarray(into.offset, end)));
      this.#headerBytes = 0;
      return end;
    }
    this.#body ??= Buffer.allocUnsafe(sizeBytes);
    const copied = bytes.copy(this.#body, this.#bodyBytes, into.offset);
    this.#bodyBytes += copied;
    if (this.#bodyBytes === sizeBytes) {
      into.decoded.push(decodeBody(this.#body));
      this.#headerBytes = 0;
      this.#bodyBytes = 0;
      this.#body = undefined;
    }
    return into.offset + copied;
  }
}

type Verb = 'decode' | 'encode';

function lengthError(verb: Verb, sizeBytes: number): ProtocolError {
  const code = sizeBytes === 0 ? 'FRAME_EMPTY' : 'FRAME_TOO_LONG';
  return new ProtocolError(
    code,
    `Cannot ${verb} frame: length ${sizeBytes} bytes, expected 1 to ${MAX_FRAME_BYTES} bytes`,
  );
}

function checkLength(sizeBytes: number): void {
  if (sizeBytes === 0 || sizeBytes > MAX_FRAME_BYTES) throw lengthError('decode', sizeBytes);
}

/** The checks in the order that the format fixes, so that all implementations agree on the code. */
function decodeBody(body: Buffer): object {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
  } catch (cause) {
    throw new ProtocolError('FRAME_NOT_UTF8', 'Cannot decode frame: ill-formed bytes, expected UTF-8', { cause });
  }
  checkDepth(body, 'decode');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new ProtocolError('FRAME_NOT_JSON', 'Cannot decode frame: text that does not parse, expected JSON', {
      cause,
    });
  }
  return checkShape(value, text, 'decode');
}

/**
 * Depth is counted on the bytes, before parsing: brackets outside strings, whether or not the text is JSON. So no parser
 * ever sees deep nesting.
 */
function checkDepth(body: Buffer, verb: Verb): void {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < body.length; at += 1) {
    const byte = body[at];
    if (byte === QUOTE) inString = !inString;
    else if (inString) at += byte === BACKSLASH ? 1 : 0;
    else if (byte === 0x7b || byte === 0x5b) depth += 1;
    else if (byte === 0x7d || byte === 0x5d) depth -= 1;
    if (depth > MAX_DEPTH) {
      throw new ProtocolError(
        'FRAME_TOO_DEEP',
        `Cannot ${verb} frame: nesting deeper than ${MAX_DEPTH}, expected at most ${MAX_DEPTH} levels`,
      );
    }
  }
}

function checkShape(value: unknown, text: string, verb: Verb): object {
  // JavaScript accepts "\ud800", C and Python have no such string: the format refuses it for all.
  if (/\\u[dD][89a-fA-F]/.test(text) && !isWellFormed(value)) {
    throw new ProtocolError('FRAME_NOT_JSON', `Cannot ${verb} frame: half a surrogate pair, expected whole characters`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const found = value === null ? 'null' : Array.isArray(value) ? 'an array' : `a ${typeof value}`;
    throw new ProtocolError('FRAME_NOT_OBJECT', `Cannot ${verb} frame: ${found}, expected an object`);
  }
  if (!Object.hasOwn(value, 'type') || !('type' in value) || typeof value.type !== 'string') {
    throw new ProtocolError('FRAME_NO_TYPE', `Cannot ${verb} frame: no string "type", expected one`);
  }
  return value;
}

/** Recursion is bounded: `checkDepth` came first. */
function isWellFormed(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed();
  if (typeof value !== 'object' || value === null) return true;
  return Object.entries(value).every(([key, item]) => key.isWellFormed() && isWellFormed(item));
}
