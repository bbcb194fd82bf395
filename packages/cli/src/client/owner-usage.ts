import { itemHashSchema } from '@vmlet/messages/schema';
import * as z from 'zod';

/** One line of the owner socket's `/usage`. */
export const usageSchema = z.object({
  timeMs: z.number(),
  machines: z.array(
    z.object({
      itemHash: itemHashSchema,
      state: z.string(),
      inFlight: z.number(),
      served: z.number(),
      startedMs: z.number(),
      pid: z.number().nullable(),
      /** Of one processor; null before a machine was looked at twice. */
      cpuPercent: z.number().nullable(),
      memoryMiB: z.number().nullable(),
    }),
  ),
});

/** One look at all machines. */
export type Usage = z.output<typeof usageSchema>;
