import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';

/** As much of an answer is made at once; the next when the client has taken it. */
const CHUNK_CHARS = 64 * 1024;

/**
 * Sends `{ [name]: [...rows], ...members }`. Rows are written as the client takes them: a long list of large messages is
 * never held as a whole.
 */
export function sendRows(
  reply: FastifyReply,
  { name, rows, members }: { name: string; rows: Iterable<string>; members: object },
): FastifyReply {
  const chunks = chunksOf(rows, { head: `{${JSON.stringify(name)}:[`, tail: `],${JSON.stringify(members).slice(1)}` });
  reply.header('content-type', 'application/json; charset=utf-8');
  const first = chunks.next();
  if (first.value.isLast) return reply.send(first.value.text);
  return reply.send(Readable.from(texts(first.value.text, chunks)));
}

interface Chunk {
  readonly text: string;
  readonly isLast: boolean;
}

function* chunksOf(rows: Iterable<string>, { head, tail }: { head: string; tail: string }): Generator<Chunk, Chunk> {
  let text = head;
  let separator = '';
  for (const row of rows) {
    text += separator + row;
    separator = ',';
    if (text.length < CHUNK_CHARS) continue;
    yield { text, isLast: false };
    text = '';
  }
  return { text: text + tail, isLast: true };
}

function* texts(first: string, rest: Generator<Chunk, Chunk>): Generator<Buffer> {
  yield Buffer.from(first);
  for (;;) {
    const { value } = rest.next();
    yield Buffer.from(value.text);
    if (value.isLast) return;
  }
}
