import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import type { ApiComponents } from './components.ts';

const response = z.object({ channels: z.array(z.string()) });

/** GET of the channels that messages in force were sent to. */
export function registerChannels(app: FastifyInstance, { facets }: Pick<ApiComponents, 'facets'>): void {
  const doc = { summary: 'Every channel with a message in force', tag: 'channels', response };
  app.get('/api/v0/channels/list.json', { config: { doc } }, async () => ({ channels: facets.channels() }));
}
