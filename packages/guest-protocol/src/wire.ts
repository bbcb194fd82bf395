import { WIRE_LIMITS } from './limits.ts';

export { WIRE_LIMITS };

/** Bytes of a frame before its payload. */
const HEADER_BYTES = 8;
const CREDIT_SIZE = 4;

/** Types of frames. */
export const WIRE_TYPES = { OPEN: 1, OPENED: 2, REFUSED: 3, DATA: 4, WINDOW: 5, END: 6, RESET: 7 } as const;

/** What a stream is for; the `argument` of its OPEN. */
export const WIRE_KINDS = { TCP: 1, EXEC: 2, COPY: 3, PARK: 4, CALL: 5, ANEW: 6 } as const;

export type WireKind = (typeof WIRE_KINDS)[keyof typeof WIRE_KINDS];

export type WireType = (typeof WIRE_TYPES)[keyof typeof WIRE_TYPES];

export interface WireFrame {
  type: WireType;
  /** A kind in OPEN, an errno in REFUSED, an errno or 0 in RESET, 0 in all others. */
  argument: number;
  /** Which stream it belongs to: odd where the host has opened it, even where the guest has. Never 0. */
  stream: number;
  /** May share memory with the chunk that it came in. */
  payload: Buffer;
}

/** Why bytes are no frame. C gives the same code for the same bytes: see `vectors/wire.json`. */
type WireErrorCode = 'WIRE_TYPE' | 'WIRE_LENGTH' | 'WIRE_ARGUMENT' | 'WIRE_STREAM' | 'WIRE_CREDIT' | 'WIRE_TRUNCATED';

/** A breach of the format of the wire. The wire it came from cannot be used any more; trying again does not help. */
export class WireError extends Error {
  override readonly name = 'WireError';
  readonly code: WireErrorCode;
  /** The frames that came whole before the bad one in the same `push`. */
  readonly decoded: readonly WireFrame[];

  constructor(code: WireErrorCode, message: string, decoded: readonly WireFrame[] = []) {
    super(message);
    this.code = code;
    this.decoded = decoded;
  }
}

interface Shape {
  type: WireType;
  /** Least and most bytes of payload. */
  bytes: readonly [number, number];
  /** Least and most value of the argument. */
  argument: readonly [number, number];
}

const SHAPES: ReadonlyMap<number, Shape> = new Map(
  (
    [
      { type: WIRE_TYPES.OPEN, bytes: [0, WIRE_LIMITS.payloadBytes], argument: [1, 255] },
      { type: WIRE_TYPES.OPENED, bytes: [0, 0], argument: [0, 0] },
      { type: WIRE_TYPES.REFUSED, bytes: [0, 0], argument: [1, 255] },
      { type: WIRE_TYPES.DATA, bytes: [1, WIRE_LIMITS.payloadBytes], argument: [0, 0] },
      { type: WIRE_TYPES.WINDOW, bytes: [CREDIT_SIZE, CREDIT_SIZE], argument: [0, 0] },
      { type: WIRE_TYPES.END, bytes: [0, 0], argument: [0, 0] },
      { type: WIRE_TYPES.RESET, bytes: [0, 0], argument: [0, 255] },
    ] satisfies Shape[]
  ).map((shape) => [shape.type, shape]),
);

const NOTHING = Buffer.alloc(0);

/** The bytes of one frame. The payload is copied. */
export function encodeWireFrame(frame: Omit<WireFrame, 'payload'> & { payload?: Buffer }): Buffer {
  const { type, argument, stream, payload = NOTHING } = frame;
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
  bytes[0] = type;
  bytes[1] = argument;
  bytes.writeUInt16BE(payload.length, 2);
  bytes.writeUInt32BE(stream, 4);
  payload.copy(bytes, HEADER_BYTES);
  return bytes;
}

/** The payload of a WINDOW frame that gives back so many bytes. */
export function creditPayload(bytes: number): Buffer {
  const payload = Buffer.allocUnsafe(CREDIT_SIZE);
  payload.writeUInt32BE(bytes);
  return payload;
}

/**
 * Cuts a byte stream into frames. It holds at most one unfinished frame, and copies the bytes of no other.
 */
export class WireDecoder {
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerBytes = 0;
  #payload: Buffer | undefined;
  #payloadBytes = 0;
  #error: WireError | undefined;

  /**
   * Takes the next bytes and returns the frames that they complete.
   * @throws WireError on the first malformed frame, and the same error on every later call
   */
  push(chunk: Buffer): WireFrame[] {
    if (this.#error) throw this.#error;
    const decoded: WireFrame[] = [];
    try {
      let offset = 0;
      while (offset < chunk.length) offset = this.#take(chunk, { offset, decoded });
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#error = new WireError(error.code, error.message, decoded);
      throw this.#error;
    }
    return decoded;
  }

  /**
   * Says that the bytes have ended.
   * @throws WireError `WIRE_TRUNCATED` when they ended inside a frame, or the error of an earlier `push`
   */
  end(): void {
    if (this.#error) throw this.#error;
    if (this.#headerBytes > 0) throw new WireError('WIRE_TRUNCATED', 'Cannot read frame: it ends too early');
  }

  /** Consumes a part of the chunk and returns the new offset. */
  #take(chunk: Buffer, into: { offset: number; decoded: WireFrame[] }): number {
    const { offset, decoded } = into;
    if (this.#headerBytes < HEADER_BYTES) {
      const copied = chunk.copy(this.#header, this.#headerBytes, offset);
      this.#headerBytes += copied;
      if (this.#headerBytes < HEADER_BYTES) return offset + copied;
      checkHeader(this.#header);
      if (this.#header.readUInt16BE(2) === 0) decoded.push(this.#finish(NOTHING));
      return offset + copied;
    }
    const bytes = this.#header.readUInt16BE(2);
    if (!this.#payload && chunk.length - offset >= bytes) {
      decoded.push(this.#finish(chunk.subarray(offset, offset + bytes)));
      return offset + bytes;
    }
    this.#payload ??= Buffer.allocUnsafe(bytes);
    const copied = chunk.copy(this.#payload, this.#payloadBytes, offset);
    this.#payloadBytes += copied;
    if (this.#payloadBytes === bytes) decoded.push(this.#finish(this.#payload));
    return offset + copied;
  }

  #finish(payload: Buffer): WireFrame {
    const { type } = checkHeader(this.#header);
    if (type === WIRE_TYPES.WINDOW) checkCredit(payload.readUInt32BE());
    this.#headerBytes = 0;
    this.#payload = undefined;
    this.#payloadBytes = 0;
    return { type, argument: this.#header[1] ?? 0, stream: this.#header.readUInt32BE(4), payload };
  }
}

/** The checks in the order that the format fixes, so that both implementations give the same code. */
function checkHeader(header: Buffer): Shape {
  const [type = 0, argument = 0] = header;
  const shape = SHAPES.get(type);
  if (!shape) throw new WireError('WIRE_TYPE', `Cannot read frame: type ${type}, expected 1 to 7`);
  const bytes = header.readUInt16BE(2);
  if (!isWithin(bytes, shape.bytes)) {
    throw new WireError('WIRE_LENGTH', `Cannot read frame of type ${type}: ${bytes} bytes, ${expected(shape.bytes)}`);
  }
  if (!isWithin(argument, shape.argument)) {
    const found = `argument ${argument}, ${expected(shape.argument)}`;
    throw new WireError('WIRE_ARGUMENT', `Cannot read frame of type ${type}: ${found}`);
  }
  if (header.readUInt32BE(4) === 0) {
    throw new WireError('WIRE_STREAM', `Cannot read frame of type ${type}: stream 0, expected another`);
  }
  return shape;
}

function checkCredit(bytes: number): void {
  if (isWithin(bytes, [1, WIRE_LIMITS.windowBytes])) return;
  throw new WireError(
    'WIRE_CREDIT',
    `Cannot read WINDOW frame: ${bytes} bytes, ${expected([1, WIRE_LIMITS.windowBytes])}`,
  );
}

function isWithin(value: number, [least, most]: readonly [number, number]): boolean {
  return value >= least && value <= most;
}

function expected([least, most]: readonly [number, number]): string {
  return least === most ? `expected ${least}` : `expected ${least} to ${most}`;
}
