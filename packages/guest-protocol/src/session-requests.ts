import { WIRE_LIMITS } from './limits.ts';
import { SessionError } from './session.ts';

/** Of an EXEC: flags, a byte that is 0, rows, columns, how many arguments. */
const EXEC_HEAD = 8;

/** A command that is to be run in a machine. */
export interface ExecRequest {
  /** Empty for a shell. */
  argv: readonly string[];
  /** Undefined for the folder of the program's code. */
  folder?: string | undefined;
  env: Readonly<Record<string, string>>;
  /** Its size, if the command is to have a terminal. */
  terminal?: TerminalSize | undefined;
}

/** Of a terminal, in characters. */
export interface TerminalSize {
  rows: number;
  columns: number;
}

/** The payload of an OPEN of kind EXEC. @throws SessionError if it is too long, or a text holds a NUL */
export function encodeExecRequest({ argv, folder = '', env, terminal }: ExecRequest): Buffer {
  const head = Buffer.alloc(EXEC_HEAD);
  head[0] = terminal ? 1 : 0;
  if (terminal) encodeSize(terminal).copy(head, 2);
  head.writeUInt16BE(Math.min(argv.length, 0xffff), 6);
  const entries = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  return checked(Buffer.concat([head, ...[...argv, folder, ...entries].map(cString)]));
}

/**
 * The payload of an OPEN of kind EXEC with more environment, over which what it has goes. Of variables that do not all fit
 * in a frame some are left out, each as a whole. What is no such payload stays as it is: the guest refuses it.
 */
export function withEnvironment(payload: Buffer, env: Readonly<Record<string, string>>): Buffer {
  const texts = payload.length < EXEC_HEAD ? 0 : payload.readUInt16BE(6) + 1;
  let at = EXEC_HEAD;
  for (let seen = 0; seen < texts; seen++) {
    const end = payload.indexOf(0, at);
    if (end < 0) return payload;
    at = end + 1;
  }
  if (texts === 0) return payload;
  let room = WIRE_LIMITS.payloadBytes - payload.length;
  const entries = Object.entries(env).flatMap(([name, value]) => {
    const entry = Buffer.from(`${name}=${value}\0`);
    if (`${name}${value}`.includes('\0') || entry.length > room) return [];
    room -= entry.length;
    return [entry];
  });
  return Buffer.concat([payload.subarray(0, at), ...entries, payload.subarray(at)]);
}

/** The payload of a RESIZE record. */
export function encodeSize({ rows, columns }: TerminalSize): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt16BE(Math.min(rows, 0xffff), 0);
  payload.writeUInt16BE(Math.min(columns, 0xffff), 2);
  return payload;
}

/**
 * The payload of an OPEN of kind COPY: `from` the machine, or `to` it with the name that the copy gets in a folder.
 * @throws SessionError if it is too long, or a text holds a NUL
 */
export function encodeCopyRequest(request: { from: string } | { to: string; name: string }): Buffer {
  if ('from' in request) return checked(Buffer.concat([Buffer.from([1]), cString(request.from)]));
  return checked(Buffer.concat([Buffer.from([2]), cString(request.to), cString(request.name)]));
}

function cString(text: string): Buffer {
  if (text.includes('\0')) throw new SessionError(`Cannot send "${text}": it holds a NUL, expected text without`);
  return Buffer.from(`${text}\0`);
}

function checked(payload: Buffer): Buffer {
  if (payload.length <= WIRE_LIMITS.payloadBytes) return payload;
  const found = `${payload.length} bytes of arguments and environment`;
  throw new SessionError(`Cannot start a session: ${found}, expected at most ${WIRE_LIMITS.payloadBytes}`);
}
