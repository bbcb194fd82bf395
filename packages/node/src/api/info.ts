import type { FastifyInstance } from 'fastify';
import * as z from 'zod';

const response = z.object({ node_multi_addresses: z.array(z.string()) });

/** GET of the addresses at which other nodes reach this one: none, for it takes no part in a network of peers. */
export function registerInfo(app: FastifyInstance): void {
  const doc = { summary: 'Addresses of this node among its peers', tag: 'node', response };
  app.get('/api/v0/info/public.json', { config: { doc } }, async () => ({ node_multi_addresses: [] }));
}
