import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import type { ApiComponents } from './components.ts';

const doc = {
  summary: 'Version of this node',
  tag: 'node',
  response: z.object({ version: z.string() }),
};

/** The version of this vmlet. */
export function registerVersion(app: FastifyInstance, { version }: Pick<ApiComponents, 'version'>): void {
  app.get('/version', { config: { doc } }, async () => ({ version }));
  app.get('/api/v0/version', { config: { doc } }, async () => ({ version }));
}
