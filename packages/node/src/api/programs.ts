import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import type { ApiComponents } from './components.ts';
import { sortOrder } from './paging.ts';
import { readParams } from './query-params.ts';

const query = z.object({ sort_order: sortOrder });
const response = z.array(
  z.object({
    item_hash: z.string(),
    content: z.object({ on: z.object({ message: z.array(z.record(z.string(), z.unknown())) }) }),
  }),
);

/** GET of the programs that messages start. */
export function registerPrograms(app: FastifyInstance, { ledger }: Pick<ApiComponents, 'ledger'>): void {
  const doc = { summary: 'Programs that are called for messages, and for which', tag: 'programs', query, response };
  app.get('/api/v0/programs/on/message', { config: { doc } }, async (request) => {
    const { sort_order: order } = readParams(query, request.query);
    const subscribed = ledger.programs().flatMap(({ itemHash, content }) => {
      const { message } = content.on;
      return message === undefined ? [] : [{ item_hash: itemHash, content: { on: { message } }, time: content.time }];
    });
    subscribed.sort((a, b) => order * (a.time - b.time) || (a.item_hash < b.item_hash ? -1 : 1));
    return subscribed.map(({ time: _time, ...program }) => program);
  });
}
