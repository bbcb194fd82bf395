import type { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import type { ApiLimits } from './limits.ts';
import { watchSlow } from './slow.ts';

/**
 * Sends bytes at the pace of their reader, in bounded memory. A reader that takes next to nothing for long loses its
 * connection: an answer that has begun cannot become another one.
 */
export function sendStream(reply: FastifyReply, stream: Readable, limits: ApiLimits): FastifyReply {
  const { socket } = reply.raw;
  if (socket !== null) {
    const watch = watchSlow(limits, {
      movedBytes: () => socket.bytesWritten - socket.writableLength,
      // Then nothing waits for the reader: the disk is read.
      isWaiting: () => socket.writableLength === 0,
      onSlow: () => socket.destroy(),
    });
    reply.raw.once('close', () => watch[Symbol.dispose]());
  }
  return reply.send(stream);
}
