import type { ItemHash } from '@vmlet/messages';
import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import type { OwnerComponents } from './components.ts';
import { findRecord } from './lifecycle.ts';

/** Deliveries in one answer. */
const MAX_DELIVERIES = 1000;

const programSchema = z.object({ program: z.string().optional() });
const listSchema = programSchema.extend({ limit: z.coerce.number().int().min(1).max(MAX_DELIVERIES).default(100) });
const retrySchema = z.union([
  z.strictObject({ id: z.number().int().positive() }),
  z.strictObject({ all: z.literal(true), program: z.string().optional() }),
]);

/** Routes of the messages that programs listen to. */
export function registerTriggers(app: FastifyInstance, components: OwnerComponents): void {
  const { triggers } = components;
  const familyOf = (program: string | undefined) => (program === undefined ? undefined : original(program, components));

  app.get('/triggers', async (request) => {
    const family = familyOf(programSchema.parse(request.query).program);
    return { triggers: triggers.list().filter(({ itemHash }) => family === undefined || itemHash === family) };
  });

  for (const [path, state] of [
    ['/triggers/waiting', 'waiting'],
    ['/triggers/dead', 'dead'],
  ] as const) {
    app.get(path, async (request) => {
      const { program, limit } = listSchema.parse(request.query);
      return { deliveries: triggers.deliveries(state, { program: familyOf(program), limit }) };
    });
  }

  app.post('/triggers/retry', async (request) => {
    const wanted = retrySchema.parse(request.body);
    if ('all' in wanted) return { retried: triggers.retryAll(familyOf(wanted.program)) };
    triggers.retry(wanted.id);
    return { retried: 1 };
  });
}

/** The program that a version replaces, or itself: deliveries go by it. @throws VmletError `PROGRAM_NOT_FOUND` */
function original(hash: string, components: OwnerComponents): ItemHash {
  const { itemHash, content } = findRecord(hash, components);
  return (content.replaces as ItemHash | undefined) ?? itemHash;
}
