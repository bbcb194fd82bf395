import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { withEnvironment } from '@vmlet/guest-protocol/session-requests';
import { WIRE_KINDS, WIRE_LIMITS } from '@vmlet/guest-protocol/wire';
import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import { asVmletError, toProblem, VmletError } from '../errors.ts';
import type { Lease, Runnable } from '../executions/index.ts';
import type { ProgramRecord } from '../ledger/index.ts';
import type { StreamRequest } from '../machines/index.ts';

/** What a client asks to be upgraded to; the stream behind it is a session's own. */
const PROTOCOL = 'vmlet-session';
const PATH = /^\/programs\/([\w-]{1,128})\/sessions$/;
const KINDS = { exec: WIRE_KINDS.EXEC, copy: WIRE_KINDS.COPY } as const;

/** What of a program's message sessions look at. */
export interface SessionProgram {
  itemHash: ProgramRecord['itemHash'];
  content: Pick<ProgramRecord['content'], 'variables'>;
}

/** What sessions need of the node. */
export interface SessionComponents {
  ledger: { program: (hash: string) => SessionProgram | undefined };
  /** @throws VmletError why the program may not run */
  findProgram: (ref: string) => Runnable;
  /** Waits for a place at its machine. @throws VmletError why there is none */
  acquire: (program: Runnable, signal: AbortSignal) => Promise<Pick<Lease, 'openSession'> & Disposable>;
}

const querySchema = z.object({
  kind: z.enum(['exec', 'copy']),
  /** The request, as the guest takes it. */
  request: z.base64url().transform((text) => Buffer.from(text, 'base64url')),
});

/**
 * Serves `GET /programs/HASH/sessions?kind=exec|copy&request=BASE64URL`, upgraded to a stream into a machine of the
 * program, which is woken as by a request and busy meanwhile. What ends first ends the other; a client that closes only
 * its side has gone.
 */
export function registerSessions(app: FastifyInstance, components: SessionComponents): void {
  const sockets = new Set<Duplex>();
  app.server.on('upgrade', (request, socket) => {
    sockets.add(socket.once('close', () => sockets.delete(socket)));
    void serve(request, { socket, components });
  });
  app.addHook('preClose', async () => {
    for (const socket of sockets) socket.destroy();
  });
}

async function serve(
  request: IncomingMessage,
  { socket, components }: { socket: Duplex; components: SessionComponents },
): Promise<void> {
  const gone = new AbortController();
  const leave = () => gone.abort(new Error('Cannot go on: the client is gone'));
  // A side that is closed can be seen only by reading; nothing is lost, for a client speaks after it was answered.
  const early: Buffer[] = [];
  const listen = (chunk: Buffer) => void early.push(chunk);
  socket.on('error', leave).on('end', leave).on('close', leave).on('data', listen);
  try {
    const { hash, wanted } = read(request);
    const record = components.ledger.program(hash);
    if (!record) throw new VmletError('PROGRAM_NOT_FOUND', { operands: { ref: hash } });
    using lease = await components.acquire(components.findProgram(record.itemHash), gone.signal);
    const stream = await lease.openSession(forProgram(wanted, record), gone.signal);
    socket.off('data', listen).pause();
    gone.signal.addEventListener('abort', () => stream.destroy(), { once: true });
    if (gone.signal.aborted) stream.destroy();
    socket.write(`HTTP/1.1 101 ${STATUS_CODES[101]}\r\nconnection: Upgrade\r\nupgrade: ${PROTOCOL}\r\n\r\n`);
    for (const chunk of early) stream.write(chunk);
    await Promise.allSettled([pipeline(socket, stream), pipeline(stream, socket)]);
  } catch (error) {
    if (!gone.signal.aborted) refuse(socket, error);
  }
  socket.destroy();
}

/** A command finds the variables that the program has; those of its request come after them. */
function forProgram({ kind, payload }: StreamRequest, { content }: SessionProgram): StreamRequest {
  if (kind !== KINDS.exec) return { kind, payload };
  return { kind, payload: withEnvironment(Buffer.from(payload), content.variables ?? {}) };
}

function read(request: IncomingMessage): { hash: string; wanted: StreamRequest } {
  const url = new URL(request.url ?? '/', 'http://owner');
  const [, hash] = PATH.exec(url.pathname) ?? [];
  const query = querySchema.safeParse(Object.fromEntries(url.searchParams));
  if (request.headers.upgrade?.toLowerCase() !== PROTOCOL || hash === undefined) {
    throw malformed(`"${url.pathname}" with an upgrade to "${request.headers.upgrade}"`);
  }
  if (!query.success) throw malformed(`"${query.error.issues[0]?.path.join('.')}"`);
  const { kind, request: payload } = query.data;
  if (payload.length > WIRE_LIMITS.payloadBytes) throw malformed(`a request of ${payload.length} bytes`);
  return { hash, wanted: { kind: KINDS[kind], payload } };
}

function malformed(found: string): VmletError {
  return new VmletError('OWNER_REQUEST_MALFORMED', { operands: { found } });
}

function refuse(socket: Duplex, error: unknown): void {
  const known = asVmletError(error);
  const body = JSON.stringify(toProblem(known, { forOwner: true }));
  const { status } = known.entry;
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? known.entry.title}`,
    'content-type: application/problem+json',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}
