import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import type { OwnerComponents } from './components.ts';

const entrySchema = z.object({ what: z.string(), reason: z.string().max(1024).default('') });
const removalSchema = z.object({ what: z.string() });

/** Routes of the block list; each answers with the entries that are then in force. */
export function registerBlocks(app: FastifyInstance, { blocks }: Pick<OwnerComponents, 'blocks'>): void {
  app.get('/blocks', async () => ({ entries: blocks.entries }));
  app.post('/blocks', async (request) => {
    await blocks.add(entrySchema.parse(request.body));
    return { entries: blocks.entries };
  });
  app.delete('/blocks', async (request) => {
    const { what } = removalSchema.parse(request.query);
    const removed = await blocks.remove(what);
    return { removed, entries: blocks.entries };
  });
  app.post('/blocks/reload', async () => {
    await blocks.reload();
    return { entries: blocks.entries };
  });
}
