import { createServer, type Server, type Socket } from 'node:net';

/** One request as a program on the other side of the gateway reads it, by a parser that knows no leniency. */
export interface RecordedRequest {
  line: string;
  /** `name: value`, names in lower case, in the order they came. */
  headers: string[];
  body: string;
}

/** What came on one connection. */
interface Recording {
  /** Bytes that are no whole request yet. */
  rest: string;
  /** Why the bytes are no request; nothing after it is read. */
  fault: string | undefined;
}

/**
 * A TCP server in a program's place that keeps the bytes it gets and reads them as RFC 9112 has it to the letter:
 * what two readers could take for different requests is a fault.
 */
export class Recorder {
  readonly server: Server;
  requests: RecordedRequest[] = [];
  #recordings: Recording[] = [];

  /** @param answer the bytes that answer a request; undefined ends the connection */
  constructor(answer: (request: RecordedRequest, socket: Socket) => string | undefined = () => OK) {
    this.server = createServer((socket) => {
      const recording: Recording = { rest: '', fault: undefined };
      this.#recordings.push(recording);
      socket.setEncoding('latin1').on('error', () => socket.destroy());
      socket.on('data', (chunk: string) => {
        recording.rest += chunk;
        for (const request of takeRequests(recording)) {
          this.requests.push(request);
          const bytes = answer(request, socket);
          if (bytes === undefined) socket.destroy();
          else socket.write(bytes, 'latin1');
        }
      });
    });
  }

  /** What was ambiguous on any connection. */
  get faults(): string[] {
    return this.#recordings.flatMap(({ fault }) => fault ?? []);
  }

  /** Forgets what has come; connections stay. */
  clear(): void {
    this.requests = [];
    this.#recordings = [];
  }
}

export const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

const LINE = /^[!#$%&'*+.^_`|~\w-]+ [!-~]+ HTTP\/1\.1$/;
const HEADER = /^[!#$%&'*+.^_`|~\w-]+:[ \t]*(?:[\t -~\x80-\xff]*[!-~\x80-\xff])?[ \t]*$/;

function takeRequests(recording: Recording): RecordedRequest[] {
  const requests: RecordedRequest[] = [];
  while (recording.fault === undefined && recording.rest !== '') {
    try {
      const taken = takeRequest(recording.rest);
      if (taken === undefined) break;
      requests.push(taken.request);
      recording.rest = taken.rest;
    } catch (error) {
      recording.fault = String(error);
    }
  }
  return requests;
}

/** The first request of the bytes; undefined while it is not whole. Throws if it is none, or more than one thing. */
function takeRequest(bytes: string): { request: RecordedRequest; rest: string } | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const [line = '', ...fields] = bytes.slice(0, end).split('\r\n');
  if (!LINE.test(line)) throw new Error(`Ambiguous request line ${JSON.stringify(line)}`);
  for (const field of fields) if (!HEADER.test(field)) throw new Error(`Ambiguous field ${JSON.stringify(field)}`);
  const headers = fields.map((field) => {
    const colon = field.indexOf(':');
    return `${field.slice(0, colon).toLowerCase()}: ${field.slice(colon + 1).trim()}`;
  });
  const named = (name: string) => headers.filter((one) => one.startsWith(`${name}: `));
  const [lengths, encodings, hosts] = [named('content-length'), named('transfer-encoding'), named('host')];
  if (lengths.length + encodings.length > 1) throw new Error(`Ambiguous framing ${[...lengths, ...encodings]}`);
  if (hosts.length !== 1) throw new Error(`Ambiguous host ${hosts}`);
  const after = bytes.slice(end + 4);
  const body = encodings[0] === undefined ? sized(after, lengths[0]) : chunked(after, encodings[0]);
  return body && { request: { line, headers, body: body.text }, rest: body.rest };
}

function sized(after: string, length = 'content-length: 0'): { text: string; rest: string } | undefined {
  const digits = /^content-length: (\d{1,15})$/.exec(length)?.[1];
  if (digits === undefined) throw new Error(`Ambiguous length ${length}`);
  const size = Number(digits);
  return after.length < size ? undefined : { text: after.slice(0, size), rest: after.slice(size) };
}

function chunked(after: string, encoding: string): { text: string; rest: string } | undefined {
  if (encoding !== 'transfer-encoding: chunked') throw new Error(`Ambiguous encoding ${encoding}`);
  let text = '';
  let rest = after;
  for (;;) {
    const end = rest.indexOf('\r\n');
    if (end < 0) return undefined;
    const digits = rest.slice(0, end);
    if (!/^[0-9a-f]{1,8}$/i.test(digits)) throw new Error(`Ambiguous chunk size ${JSON.stringify(digits)}`);
    const size = Number.parseInt(digits, 16);
    const chunk = rest.slice(end + 2, end + 2 + size);
    const tail = rest.slice(end + 2 + size, end + 4 + size);
    if (tail.length < 2) return undefined;
    if (tail !== '\r\n') throw new Error(`Ambiguous end of a chunk ${JSON.stringify(tail)}`);
    text += chunk;
    rest = rest.slice(end + 4 + size);
    if (size === 0) return { text, rest };
  }
}
