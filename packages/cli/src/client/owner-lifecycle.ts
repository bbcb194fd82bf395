import * as z from 'zod';
import type { OwnerClient } from './owner.ts';
import { phaseSchema } from './owner-starts.ts';

const phasesSchema = z.object({ from: z.string(), steps: z.array(phaseSchema) });

const startedSchema = z.object({
  itemHash: z.string(),
  /** Whether its owner had stopped it. */
  wasStopped: z.boolean(),
  /** The cold start; null where no machine was started for this. */
  phases: phasesSchema.nullable(),
});

/** What came of starting a program. */
export type Started = z.output<typeof startedSchema>;

const stoppedSchema = z.object({ itemHash: z.string() });

const cooledSchema = z.object({ itemHash: z.string(), state: z.string() });

/** To what a program can be brought. */
export const TEMPERATURES = ['paused', 'spare', 'snapshot'] as const;
export type Temperature = (typeof TEMPERATURES)[number];

/**
 * Brings a program to a temperature now.
 * @throws ProblemError `PROGRAM_NOT_COOLED` while it is being asked
 */
export async function coolProgram(
  owner: OwnerClient,
  itemHash: string,
  { to, signal }: { to: Temperature; signal: AbortSignal },
): Promise<void> {
  await owner.ask('POST', `/programs/${itemHash}/cool?to=${to}`, { schema: cooledSchema, signal });
}

/**
 * Lets a stopped program answer again, and with `wait` starts a machine of it if none runs.
 * @throws ProblemError why it does not start, its traceback in `detail`
 */
export async function startProgram(
  owner: OwnerClient,
  itemHash: string,
  { wait, signal }: { wait: boolean; signal: AbortSignal },
): Promise<Started> {
  return await owner.ask('POST', `/programs/${itemHash}/start?wait=${wait}`, { schema: startedSchema, signal });
}

/** Starts a fresh machine of a program; the one that runs serves until that is up. Throws as {@link startProgram}. */
export async function restartProgram(owner: OwnerClient, itemHash: string, signal: AbortSignal): Promise<Started> {
  return await owner.ask('POST', `/programs/${itemHash}/restart`, { schema: startedSchema, signal });
}

/** Halts a program's machines, and lets it have none until it is started again. */
export async function stopProgram(owner: OwnerClient, itemHash: string, signal: AbortSignal): Promise<void> {
  await owner.ask('POST', `/programs/${itemHash}/stop`, { schema: stoppedSchema, signal });
}
