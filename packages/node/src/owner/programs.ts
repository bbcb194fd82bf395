import type { FastifyInstance, FastifyReply } from 'fastify';
import * as z from 'zod';
import type { LogEntry, ProgramLog } from '../executions/index.ts';
import type { ProgramRecord } from '../ledger/index.ts';
import { manifestOf } from '../runtimes/index.ts';
import type { OwnerComponents } from './components.ts';
import { findRecord } from './lifecycle.ts';

const MAX_LINES = 100_000;
const DEFAULT_LINES = 100;
/** What a slow reader of a followed log may leave unread before it is let go, in bytes. */
const MAX_UNREAD_BYTES = 4 * 1024 * 1024;

const paramsSchema = z.object({ hash: z.string() });
const querySchema = z.object({
  lines: z.coerce.number().int().min(0).max(MAX_LINES).default(DEFAULT_LINES),
  follow: z.stringbool().default(false),
});

/** Routes of deployed programs and their logs. */
export function registerPrograms(app: FastifyInstance, components: OwnerComponents): void {
  app.get('/programs', async () => {
    const running = new Map(components.executions.list().map((execution) => [execution.itemHash, execution]));
    const names = namesByProgram(components);
    const programs = components.ledger.programs().map((program) => {
      const execution = running.get(program.itemHash);
      return {
        ...describe(program, components),
        names: names.get(program.itemHash) ?? [],
        state: execution?.state ?? (components.stops.has(program.itemHash) ? 'stopped' : 'asleep'),
        inFlight: execution?.inFlight ?? 0,
        served: execution?.served ?? 0,
        startedMs: execution?.startedMs ?? null,
        pid: execution?.pid ?? null,
        spares: execution?.spares ?? 0,
      };
    });
    return { programs };
  });

  app.get('/programs/:hash/logs', async (request, reply) => {
    const { hash } = paramsSchema.parse(request.params);
    const { lines, follow } = querySchema.parse(request.query);
    const program = findRecord(hash, components);
    await sendLog(components.logs.of(program.itemHash), { reply, lines, follow });
  });
}

interface LogRequest {
  reply: FastifyReply;
  lines: number;
  follow: boolean;
}

/** The tail of a log, then each later line for as long as the client stays. */
async function sendLog(log: ProgramLog, { reply, lines, follow }: LogRequest): Promise<void> {
  const early: LogEntry[] = [];
  // Nothing is sent before the tail; what comes meanwhile waits here.
  let live = (entry: LogEntry) => void early.push(entry);
  const listener = (entry: LogEntry) => live(entry);
  const entries = await log.tail(lines, follow ? listener : undefined);
  reply.hijack();
  const { raw } = reply;
  raw.once('close', () => log.unfollow(listener));
  // A client that has left while the tail was read.
  if (raw.destroyed) log.unfollow(listener);
  raw.writeHead(200, { 'content-type': 'application/x-ndjson' });
  const tail = entries.map(toLine).join('');
  if (!follow) {
    raw.end(tail);
    return;
  }
  raw.flushHeaders();
  const tailBytes = Buffer.byteLength(tail);
  raw.write(tail);
  live = (entry) => {
    if (raw.writableLength > tailBytes + MAX_UNREAD_BYTES) raw.destroy();
    else raw.write(toLine(entry));
  };
  for (const entry of early) live(entry);
}

function toLine(entry: LogEntry): string {
  return `${JSON.stringify(entry)}\n`;
}

/** The names that have led to each program, and whether they still do. */
function namesByProgram({ names, nameUrlsOf }: OwnerComponents) {
  const byProgram = new Map<string, object[]>();
  for (const { name, itemHash: current, versions } of names.list()) {
    for (const { version, itemHash } of versions) {
      const named = { name, version, current: itemHash === current, ...nameUrlsOf(name) };
      byProgram.set(itemHash, [...(byProgram.get(itemHash) ?? []), named]);
    }
  }
  return byProgram;
}

function describe(program: ProgramRecord, { ledger, urlsOf }: OwnerComponents) {
  const { content, itemHash } = program;
  const store = ledger.store(content.runtime.ref, { latest: content.runtime.use_latest });
  const name = content.metadata?.name;
  return {
    itemHash,
    name: typeof name === 'string' ? name : null,
    address: content.address,
    runtime: { ref: content.runtime.ref, name: (store && manifestOf(store)?.name) ?? null },
    code: { ref: content.code.ref },
    entrypoint: content.code.entrypoint,
    memoryMiB: content.resources.memory,
    createdMs: Math.round(content.time * 1000),
    ...urlsOf(itemHash),
  };
}
