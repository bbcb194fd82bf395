import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import type { ApiComponents } from './components.ts';

const limits = z.object({ unauthenticated: z.int(), authenticated: z.int(), trusted: z.int() });
const doc = {
  summary: 'How long an upload may be, in bytes, by who sends it; 0 where such uploads are refused',
  tag: 'storage',
  response: z.object({
    storage: limits,
    ipfs: limits,
    car: limits,
    json: z.int(),
    message: z.int(),
    grace_period_hours: z.number(),
  }),
};

/** GET of how much this node takes. */
export function registerStorageLimits(app: FastifyInstance, { limits: of, fileGraceMs }: ApiComponents): void {
  app.get('/api/v0/storage/limits.json', { config: { doc } }, async () => {
    const { unsignedFileBytes: unauthenticated, trustedFileBytes: trusted } = of;
    return {
      storage: { unauthenticated, authenticated: of.signedFileBytes, trusted },
      ipfs: { unauthenticated, authenticated: of.signedIpfsBytes, trusted: Math.max(trusted, of.signedIpfsBytes) },
      car: { unauthenticated: 0, authenticated: of.carBytes, trusted: Math.max(trusted, of.carBytes) },
      json: unauthenticated === 0 ? 0 : Math.min(of.jsonBytes, unauthenticated),
      message: of.messageBytes,
      grace_period_hours: fileGraceMs / MS_PER_HOUR,
    };
  });
}

const MS_PER_HOUR = 3_600_000;
