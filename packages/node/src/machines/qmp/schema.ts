import { z } from 'zod';

/** What QEMU may send: a greeting, an answer, an error, or an event (QEMU's qmp-spec). */
export const qmpMessage = z.union([
  z.object({ QMP: z.object({ version: z.unknown() }) }),
  z.object({ return: z.unknown(), id: z.int().optional() }),
  z.object({ error: z.object({ class: z.string(), desc: z.string() }), id: z.int().optional() }),
  z.object({ event: z.string(), data: z.record(z.string(), z.unknown()).optional(), timestamp: z.unknown() }),
]);

export type QmpMessage = z.infer<typeof qmpMessage>;
