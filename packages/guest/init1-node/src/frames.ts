/**
 * Frames of the control protocol: 4 bytes of length, big-endian, then one JSON object in UTF-8 with a string `type`.
 * The same rules, in the same order, as packages/guest-protocol/src/frames.ts; vectors/frames.json there runs on both.
 */

/** Greatest number of bytes of a frame's body. */
export const MAX_FRAME_BYTES = 1_048_576;
const MAX_DEPTH = 16;
const HEADER_BYTES = 4;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** A frame that was decoded: its `type` is a string, all else is unchecked. */
export interface Frame {
  readonly type: string;
  readonly [member: string]: unknown;
}

/** A breach of the frame format; the connection it came from is of no use afterwards. */
export class ProtocolError extends Error {
  /** The protocol's name for the breach. */
  readonly code: string;
  /** The frames that came whole before it in the same `push`. */
  decoded: readonly Frame[] = [];

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** The bytes of one frame. Its texts MUST be well-formed: `failures.ts` sees to that for texts of a program. */
export function encodeFrame(frame: Frame): Buffer {
  const body = Buffer.from(JSON.stringify(frame), 'utf8');
  checkLength(body.length, 'encode');
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(body.length, 0);
  return Buffer.concat([header, body]);
}

/** Cuts a byte stream into frames; one for each connection. Copies each byte at most once, however it was chunked. */
export class FrameDecoder {
  private readonly header = Buffer.alloc(HEADER_BYTES);
  private headerBytes = 0;
  private body: Buffer | undefined;
  private bodyBytes = 0;
  private error: ProtocolError | undefined;

  /**
   * Returns the frames that `chunk` completes.
   * @throws ProtocolError at a malformed frame and ever after
   */
  push(chunk: Buffer): Frame[] {
    if (this.error !== undefined) throw this.error;
    const decoded: Frame[] = [];
    try {
      let offset = 0;
      while (offset < chunk.length) offset = this.take(chunk, offset, decoded);
    } catch (error) {
      if (error instanceof ProtocolError) {
        error.decoded = decoded;
        this.error = error;
      }
      throw error;
    }
    return decoded;
  }

  /**
   * Says that the stream has ended.
   * @throws ProtocolError FRAME_TRUNCATED when it ended inside a frame
   */
  end(): void {
    if (this.error !== undefined) throw this.error;
    if (this.headerBytes === 0) return;
    const found = `the stream ended after ${this.body === undefined ? this.headerBytes : this.bodyBytes} bytes`;
    this.error = new ProtocolError('FRAME_TRUNCATED', `Cannot decode frame: ${found}, expected a whole frame`);
    throw this.error;
  }

  /** The bytes of a frame that has begun and not ended. */
  unfinished(): Buffer {
    const header = this.header.slice(0, this.headerBytes);
    return this.body === undefined ? header : Buffer.concat([header, this.body.slice(0, this.bodyBytes)]);
  }

  /** Consumes a part of `chunk` from `offset` on and returns the new offset. */
  private take(chunk: Buffer, offset: number, decoded: Frame[]): number {
    if (this.body === undefined) {
      const copied = chunk.copy(this.header, this.headerBytes, offset);
      this.headerBytes += copied;
      if (this.headerBytes === HEADER_BYTES) {
        const sizeBytes = this.header.readUInt32BE(0);
        checkLength(sizeBytes, 'decode');
        this.body = Buffer.allocUnsafe(sizeBytes);
        this.bodyBytes = 0;
      }
      return offset + copied;
    }
    const copied = chunk.copy(this.body, this.bodyBytes, offset);
    this.bodyBytes += copied;
    if (this.bodyBytes === this.body.length) {
      decoded.push(decodeBody(this.body));
      this.body = undefined;
      this.headerBytes = 0;
    }
    return offset + copied;
  }
}

function checkLength(sizeBytes: number, verb: 'decode' | 'encode'): void {
  if (sizeBytes >= 1 && sizeBytes <= MAX_FRAME_BYTES) return;
  const code = sizeBytes === 0 ? 'FRAME_EMPTY' : 'FRAME_TOO_LONG';
  const found = `length ${sizeBytes} bytes, expected 1 to ${MAX_FRAME_BYTES} bytes`;
  throw new ProtocolError(code, `Cannot ${verb} frame: ${found}`);
}

function decodeBody(body: Buffer): Frame {
  const text = body.toString('utf8');
  // Ill-formed bytes become U+FFFD, which does not encode back to them. A Node without ICU has no strict TextDecoder.
  if (!Buffer.from(text, 'utf8').equals(body)) throw refused('FRAME_NOT_UTF8', 'ill-formed bytes, expected UTF-8');
  checkDepth(body);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw refused('FRAME_NOT_JSON', 'text that does not parse, expected JSON');
  }
  // JavaScript accepts "\ud800", C and Python have no such string: the format refuses it for all.
  if (/\\u[dD][89a-fA-F]/.test(text) && !isWellFormed(value)) {
    throw refused('FRAME_NOT_JSON', 'half a surrogate pair, expected whole characters');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw refused('FRAME_NOT_OBJECT', `a JSON ${value === null ? 'null' : typeof value}, expected an object`);
  }
  if (!hasType(value)) throw refused('FRAME_NO_TYPE', 'no string "type", expected one');
  return value;
}

/** Counts brackets outside strings on the bytes, before parsing: so no parser ever sees deep nesting. */
function checkDepth(body: Buffer): void {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < body.length; at += 1) {
    const byte = body[at];
    if (byte === QUOTE) inString = !inString;
    else if (inString) at += byte === BACKSLASH ? 1 : 0;
    else if (byte === 0x7b || byte === 0x5b) depth += 1;
    else if (byte === 0x7d || byte === 0x5d) depth -= 1;
    if (depth > MAX_DEPTH) {
      throw refused('FRAME_TOO_DEEP', `nesting deeper than ${MAX_DEPTH}, expected at most ${MAX_DEPTH} levels`);
    }
  }
}

function refused(code: string, found: string): ProtocolError {
  return new ProtocolError(code, `Cannot decode frame: ${found}`);
}

function hasType(value: object): value is Frame {
  const own: { type?: unknown } = value;
  return Object.prototype.hasOwnProperty.call(value, 'type') && typeof own.type === 'string';
}

/** Recursion is bounded: `checkDepth` came first. */
function isWellFormed(value: unknown): boolean {
  // With the flag u, a surrogate matches by itself only where it is no half of a pair.
  if (typeof value === 'string') return !/[\ud800-\udfff]/u.test(value);
  if (typeof value !== 'object' || value === null) return true;
  return Object.entries(value).every(([key, item]) => isWellFormed(key) && isWellFormed(item));
}
