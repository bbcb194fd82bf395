import type { FastifyInstance, FastifyReply } from 'fastify';
import * as z from 'zod';
import { VmletError } from '../errors.ts';
import type { ProgramRecord } from '../ledger/index.ts';
import type { OwnerComponents } from './components.ts';

const paramsSchema = z.object({ hash: z.string() });
const coolSchema = z.object({ to: z.enum(['paused', 'spare', 'snapshot']) });
const startSchema = z.object({ wait: z.stringbool().default(true) });

/** Routes that start, stop and restart a program, and bring it to a temperature. */
export function registerLifecycle(app: FastifyInstance, components: OwnerComponents): void {
  const { executions, timelines, stops } = components;
  const programOf = (params: unknown) => findRecord(paramsSchema.parse(params).hash, components);

  app.post('/programs/:hash/start', async (request, reply) => {
    const { itemHash } = programOf(request.params);
    const { wait } = startSchema.parse(request.query);
    const wasStopped = stops.delete(itemHash);
    const runnable = components.findProgram(itemHash);
    if (!wait) return { itemHash, wasStopped, phases: null };
    const signal = goneSignal(reply);
    const { got } = await timelines.watch(itemHash, () => executions.acquire(runnable, signal));
    using lease = got;
    return { itemHash, wasStopped, phases: lease.phases ?? null };
  });

  app.post('/programs/:hash/stop', async (request) => {
    const { itemHash } = programOf(request.params);
    // First, so that nothing wakes it again behind the one that is halted.
    stops.add(itemHash, { nowMs: Date.now() });
    await executions.stop(itemHash, 'its owner has stopped it');
    return { itemHash };
  });

  app.post('/programs/:hash/restart', async (request, reply) => {
    const { itemHash } = programOf(request.params);
    const wasStopped = stops.delete(itemHash);
    const runnable = components.findProgram(itemHash);
    const signal = goneSignal(reply);
    const { got } = await timelines.watch(itemHash, async () => ({
      phases: await executions.restart(runnable, signal),
    }));
    return { itemHash, wasStopped, phases: got.phases ?? null };
  });

  app.post('/programs/:hash/cool', async (request, reply) => {
    const { itemHash } = programOf(request.params);
    const { to } = coolSchema.parse(request.query);
    await executions.cool(components.findProgram(itemHash), { to, signal: goneSignal(reply) });
    return { itemHash, state: to };
  });
}

/** @throws VmletError `PROGRAM_NOT_FOUND` */
export function findRecord(hash: string, { ledger }: Pick<OwnerComponents, 'ledger'>): ProgramRecord {
  const program = ledger.program(hash);
  if (!program) throw new VmletError('PROGRAM_NOT_FOUND', { operands: { ref: hash.slice(0, 128) } });
  return program;
}

/** Aborts when the client has gone: nobody waits for the answer any more. */
export function goneSignal(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  reply.raw.once('close', () => gone.abort(new Error('Cannot go on: the client is gone')));
  return gone.signal;
}
