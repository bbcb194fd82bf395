import { SESSION_LIMITS } from './limits.ts';

export { SESSION_LIMITS };

/** Bytes of a record before its payload: its type, and the length in three bytes. */
const HEADER_BYTES = 4;

/** Records to a command. The payload of SIGNAL is its number; of RESIZE rows and columns; STDIN without any is its end. */
export const TO_COMMAND = { STDIN: 1, RESIZE: 2, SIGNAL: 3 } as const;
/** Records of a command. The payload of EXIT is 0 and the exit status, or 1 and the number of the signal. */
export const FROM_COMMAND = { STDOUT: 1, STDERR: 2, EXIT: 3 } as const;
/** Records of a copy, whichever side sends it. */
export const COPY = { FOLDER: 1, FILE: 2, LINK: 3, DATA: 4, DONE: 5, FAILED: 6 } as const;

/** One record of a session. */
export interface SessionRecord {
  type: number;
  payload: Buffer;
}

/** The other side of a session breaks its format, or asks for what fits no request. */
export class SessionError extends Error {
  override readonly name = 'SessionError';
}

/** The bytes of one record. @throws SessionError for a payload that is too long */
export function encodeRecord(type: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  if (payload.length > SESSION_LIMITS.recordBytes) {
    throw new SessionError(`Cannot send a record: ${payload.length} bytes, expected ${SESSION_LIMITS.recordBytes}`);
  }
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
  bytes[0] = type;
  bytes.writeUIntBE(payload.length, 1, 3);
  bytes.set(payload, HEADER_BYTES);
  return bytes;
}

/** Cuts a stream into records. It holds at most one unfinished one. */
export class RecordDecoder {
  #unfinished: Buffer = Buffer.alloc(0);

  /** Whether the stream is between two records. */
  get isBetween(): boolean {
    return this.#unfinished.length === 0;
  }

  /** @throws SessionError for a record that is too long; the stream cannot be used any more */
  push(chunk: Uint8Array): SessionRecord[] {
    const bytes = Buffer.concat([this.#unfinished, chunk]);
    const records: SessionRecord[] = [];
    let at = 0;
    while (bytes.length - at >= HEADER_BYTES) {
      const length = bytes.readUIntBE(at + 1, 3);
      if (length > SESSION_LIMITS.recordBytes) {
        throw new SessionError(`Cannot read a record: ${length} bytes, expected at most ${SESSION_LIMITS.recordBytes}`);
      }
      const end = at + HEADER_BYTES + length;
      if (bytes.length < end) break;
      records.push({ type: bytes[at] ?? 0, payload: bytes.subarray(at + HEADER_BYTES, end) });
      at = end;
    }
    this.#unfinished = bytes.subarray(at);
    return records;
  }
}
