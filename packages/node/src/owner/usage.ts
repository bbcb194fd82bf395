import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import { idleTimer } from '../deadline.ts';
import { usageOf } from '../telemetry/index.ts';
import type { OwnerComponents } from './components.ts';

const MIN_EVERY_MS = 100;
const MAX_EVERY_MS = 3_600_000;
const DEFAULT_EVERY_MS = 2000;
/** What a slow reader may leave unread before it is let go, in bytes. */
const MAX_UNREAD_BYTES = 1024 * 1024;

const querySchema = z.object({
  everyMs: z.coerce.number().int().min(MIN_EVERY_MS).max(MAX_EVERY_MS).default(DEFAULT_EVERY_MS),
});

/** One look at a machine, kept until the next one. */
interface Sample {
  pid: number;
  cpuMs: number;
  atMs: number;
}

/**
 * The route that tells what machines use: a line of JSON at once, without processor time, for that takes two looks;
 * then one each `everyMs`, for as long as the client stays.
 */
export function registerUsage(app: FastifyInstance, components: OwnerComponents): void {
  app.get('/usage', async (request, reply) => {
    const { everyMs } = querySchema.parse(request.query);
    const { raw } = reply;
    reply.hijack();
    raw.writeHead(200, { 'content-type': 'application/x-ndjson' });
    const samples = new Map<string, Sample>();
    const tell = async () => {
      const line = `${JSON.stringify(await lookAt(components, samples))}\n`;
      if (raw.destroyed) return;
      if (raw.writableLength > MAX_UNREAD_BYTES) raw.destroy();
      else raw.write(line);
      timer.arm();
    };
    const timer = idleTimer(everyMs, () => void tell());
    raw.once('close', () => timer[Symbol.dispose]());
    await tell();
  });
}

async function lookAt({ executions }: OwnerComponents, samples: Map<string, Sample>) {
  const running = executions.list();
  const machines = await Promise.all(
    running.map(async ({ itemHash, state, inFlight, served, startedMs, pid }) => {
      const usage = pid === undefined ? undefined : await usageOf(pid);
      const now = pid === undefined || !usage ? undefined : { pid, cpuMs: usage.cpuMs, atMs: performance.now() };
      const cpuPercent = percent(samples.get(itemHash), now);
      if (now) samples.set(itemHash, now);
      const memoryMiB = usage?.memoryMiB ?? null;
      return { itemHash, state, inFlight, served, startedMs, pid: pid ?? null, cpuPercent, memoryMiB };
    }),
  );
  return { timeMs: Date.now(), machines };
}

/** Of one processor, between two looks at the same machine; null where there are no two. */
function percent(before: Sample | undefined, now: Sample | undefined): number | null {
  if (!before || !now || before.pid !== now.pid || now.atMs <= before.atMs) return null;
  return Math.round((Math.max(0, now.cpuMs - before.cpuMs) / (now.atMs - before.atMs)) * 1000) / 10;
}
