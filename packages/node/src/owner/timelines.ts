import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import type { ProgramRecord } from '../ledger/index.ts';
import { languageOf } from '../runtimes/index.ts';
import { OPENMETRICS_TYPE } from '../telemetry/index.ts';
import { adviceOn, type StartFacts } from '../timelines/index.ts';
import type { OwnerComponents } from './components.ts';
import { findRecord } from './lifecycle.ts';

const paramsSchema = z.object({ hash: z.string() });

/** Enough of an item_hash to name a program by in commands. */
const SHORT_HASH = 12;

/** Routes that tell how programs started, and the node's figures. */
export function registerTimelines(app: FastifyInstance, components: OwnerComponents): void {
  const { timelines, metrics } = components;
  app.get('/programs/:hash/starts', async (request) => {
    const record = findRecord(paramsSchema.parse(request.params).hash, components);
    const known = timelines.of(record.itemHash);
    const [last] = known.starts;
    const advice = last ? adviceOn(last, factsOf(record, components, { isFirst: !known.starts[1] })) : [];
    return { itemHash: record.itemHash, starts: known.starts, failed: known.failed ?? null, advice };
  });
  app.get('/metrics', async (_request, reply) => reply.type(OPENMETRICS_TYPE).send(metrics.metrics.expose()));
}

function factsOf(
  { itemHash, content }: ProgramRecord,
  { startLimits, snapshotOf }: OwnerComponents,
  { isFirst }: { isFirst: boolean },
): StartFacts {
  return {
    ...startLimits,
    ref: itemHash.slice(0, SHORT_HASH),
    language: languageOf(content.code),
    entrypoint: content.code.entrypoint,
    mayHaveSnapshot: content.metadata?.snapshot !== false,
    snapshot: snapshotOf(itemHash),
    isFirst,
  };
}
