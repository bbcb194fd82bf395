import type { FastifyInstance } from 'fastify';
import type { ApiComponents } from './components.ts';

/** The version of this vmlet. */
export function registerVersion(app: FastifyInstance, { version }: ApiComponents): void {
  app.get('/version', async () => ({ version }));
  app.get('/api/v0/version', async () => ({ version }));
}
