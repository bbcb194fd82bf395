import { manifestSchema } from '@vmlet/builder';
import { itemHashSchema } from '@vmlet/messages/schema';
import * as z from 'zod';

/** What a node says of itself; more members may come. */
export const statusSchema = z.object({
  version: z.string(),
  url: z.string(),
  programDomain: z.string(),
  operator: z.string(),
  backend: z.enum(['kvm', 'tcg']),
});

/** A name that leads to a program, or has led to it. */
const programNameSchema = z.object({
  name: z.string(),
  version: z.number(),
  current: z.boolean(),
  url: z.string(),
  hostUrl: z.string(),
});

const programSchema = z.object({
  itemHash: itemHashSchema,
  name: z.string().nullable(),
  address: z.string(),
  runtime: z.object({ ref: z.string(), name: z.string().nullable() }),
  code: z.object({ ref: itemHashSchema }),
  entrypoint: z.string(),
  memoryMiB: z.number(),
  state: z.string(),
  inFlight: z.number(),
  served: z.number(),
  pid: z.number().nullable(),
  startedMs: z.number().nullable(),
  createdMs: z.number(),
  names: z.array(programNameSchema),
  url: z.string(),
  hostUrl: z.string(),
});

export const programsSchema = z.object({ programs: z.array(programSchema) });

/** A deployed program as its node lists it. */
export type ListedProgram = z.output<typeof programSchema>;

export const runtimesSchema = z.object({
  runtimes: z.array(
    z.object({ itemHash: itemHashSchema, fileHash: z.string(), address: z.string(), manifest: manifestSchema }),
  ),
});

export type ListedRuntime = z.output<typeof runtimesSchema>['runtimes'][number];

const checkSchema = z.object({
  code: z.string(),
  title: z.string(),
  status: z.enum(['ok', 'warning', 'error']),
  text: z.string(),
  fix: z.string().optional(),
});

export const checksSchema = z.object({ checks: z.array(checkSchema) });

/** One finding of `doctor`. */
export type Check = z.output<typeof checkSchema>;

export const logEntrySchema = z.object({
  timeMs: z.number(),
  stream: z.enum(['stdout', 'stderr', 'platform']),
  text: z.string(),
});

/** One line of a program's log. */
export type LogEntry = z.output<typeof logEntrySchema>;

/** What became of a message that was imported. */
export const importedSchema = z.object({ status: z.string(), errors: z.array(z.string()) });
