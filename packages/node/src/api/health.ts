import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import { VmletError } from '../errors.ts';
import type { ApiComponents } from './components.ts';

const live = {
  summary: 'Whether this node lives: its process answers, and reads its database',
  tag: 'node',
  response: z.object({ status: z.literal('ok') }),
};
const ready = {
  summary: 'Whether this node takes requests; 503 from when it is told to stop',
  tag: 'node',
  response: z.object({ status: z.literal('ready') }),
};

/** No message has it; asking for it reads the database. */
const NO_HASH = '0'.repeat(64);

/** What those ask who watch a node, and who choose where to send requests. */
export function registerHealth(
  app: FastifyInstance,
  { ledger, isDraining }: Pick<ApiComponents, 'ledger' | 'isDraining'>,
): void {
  app.get('/healthz', { config: { doc: live } }, async (_request, reply) => {
    ledger.get(NO_HASH);
    return reply.header('cache-control', 'no-store').send({ status: 'ok' });
  });
  app.get('/readyz', { config: { doc: ready } }, async (_request, reply) => {
    reply.header('cache-control', 'no-store');
    if (isDraining()) throw new VmletError('NODE_DRAINING');
    return { status: 'ready' };
  });
}
