import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { deadline } from '../deadline.ts';
import type { Lease } from '../executions/index.ts';
import { requestHeaders } from './headers.ts';

/** What a program may answer a handshake with before its head ends. */
const MAX_ANSWER_HEAD_BYTES = 64 * 1024;

export interface Upgrade {
  request: IncomingMessage;
  /** The client's connection, which carries whatever comes after the request's head. */
  socket: Duplex;
  /** What the client sent behind the head. */
  head: Buffer;
  /** Path and query as the program gets them. */
  path: string;
  /** The host that was asked for, with its port. */
  host: string;
  requestId: string;
  /** How long the program may take to answer the handshake, in seconds. What follows has no end of its own. */
  seconds: number;
  trustForwarded: boolean;
}

/** Whether a request asks for a WebSocket; any other upgrade is ignored, as HTTP allows. */
export function asksForWebSocket({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket';
}

/**
 * Joins a client that asks for a WebSocket with its program, byte by byte: the handshake's answer, a refusal too, is
 * the program's own. Returns when both sides have closed; the machine counts as busy until then.
 */
export async function joinWebSocket(upgrade: Upgrade, lease: Lease): Promise<void> {
  const { socket, head } = upgrade;
  using limit = deadline(upgrade.seconds * 1000);
  const program = await lease.connect(limit.signal);
  const onLate = () => program.destroy();
  limit.signal.addEventListener('abort', onLate, { once: true });
  const leave = () => program.destroy();
  socket.once('close', leave);
  program.write(requestHead(upgrade));
  // Broken off before its answer's end: the client sees its connection end, and there is nobody else to tell.
  const answer = await readAnswer(program).catch(() => undefined);
  limit.signal.removeEventListener('abort', onLate);
  socket.off('close', leave);
  if (answer?.switched) await join(socket, program, { head, answer });
  else if (answer) await refuse(socket, program, { answer, signal: limit.signal });
  socket.destroy();
  program.destroy();
}

/** The answer to a handshake: its head, and what has come behind it. */
interface HandshakeAnswer {
  switched: boolean;
  head: Buffer;
  rest: Buffer;
}

/** Nothing the client sends is passed on before the program has switched: it would be read as a request of its own. */
async function readAnswer(program: Duplex): Promise<HandshakeAnswer> {
  let bytes: Buffer = Buffer.alloc(0);
  for await (const chunk of program.iterator({ destroyOnReturn: false })) {
    bytes = Buffer.concat([bytes, chunk]);
    for (let end = bytes.indexOf('\r\n\r\n'); end >= 0; end = bytes.indexOf('\r\n\r\n')) {
      const head = bytes.subarray(0, end + 4);
      bytes = bytes.subarray(end + 4);
      const status = Number(/^HTTP\/1\.[01] (\d{3})(?: |\r)/.exec(head.toString('latin1'))?.[1]);
      if (!(status >= 100)) throw new TypeError('Cannot read the answer: no status line, expected one');
      if (status === 101 || status >= 200) return { switched: status === 101, head, rest: bytes };
    }
    if (bytes.length > MAX_ANSWER_HEAD_BYTES) throw new RangeError('Cannot read the answer: its head does not end');
  }
  throw new TypeError('Cannot read the answer: the connection ended, expected a head');
}

async function join(socket: Duplex, program: Duplex, { head, answer }: { head: Buffer; answer: HandshakeAnswer }) {
  socket.write(answer.head);
  socket.write(answer.rest);
  program.write(head);
  // One side that breaks off takes the other one with it; who did so is seen by both.
  await Promise.allSettled([pipeline(socket, program), pipeline(program, socket)]);
}

/** The program's own refusal, until its end or its time's; the connection is not for anything else. */
async function refuse(
  socket: Duplex,
  program: Duplex,
  { answer, signal }: { answer: HandshakeAnswer; signal: AbortSignal },
): Promise<void> {
  const { head, rest } = answer;
  socket.write(head);
  const length = /\r\ncontent-length: *(\d{1,15})\r\n/i.exec(head.toString('latin1'))?.[1];
  let left = length === undefined ? Number.POSITIVE_INFINITY : Number(length);
  const rests = async function* () {
    yield rest;
    yield* program;
  };
  const body = async function* () {
    for await (const chunk of rests()) {
      yield chunk.subarray(0, left);
      left -= chunk.length;
      if (left <= 0) return;
    }
  };
  // As above: who breaks off is seen by the other.
  await pipeline(body, socket, { signal }).catch(() => {});
}

function requestHead(upgrade: Upgrade): string {
  const headers = requestHeaders(upgrade.request, upgrade);
  const lines = [`${upgrade.request.method} ${upgrade.path} HTTP/1.1`, 'connection: Upgrade', 'upgrade: websocket'];
  for (let index = 0; index + 1 < headers.length; index += 2) lines.push(`${headers[index]}: ${headers[index + 1]}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
}
