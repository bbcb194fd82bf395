import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import { VmletError } from '../errors.ts';
import type { Measurement } from '../ledger/views/index.ts';
import type { ApiComponents } from './components.ts';
import { choiceParam, readParams, secondsParam } from './query-params.ts';

/** Without a time given, the last two weeks are told. */
const WINDOW_SECONDS = 14 * 24 * 60 * 60;

/** Each kind of node with what is measured of it. */
const KINDS = {
  core: {
    name: 'ccn',
    members: [
      'base_latency',
      'base_latency_ipv4',
      'metrics_latency',
      'aggregate_latency',
      'file_download_latency',
      'pending_messages',
      'eth_height_remaining',
    ],
  },
  compute: {
    name: 'crn',
    members: ['base_latency', 'base_latency_ipv4', 'full_check_latency', 'diagnostic_vm_latency'],
  },
} as const;

const params = z.object({ node_id: z.string() });
const query = z.object({
  start_date: secondsParam().optional(),
  end_date: secondsParam().optional(),
  sort: choiceParam(['ASC', 'DESC', 'asc', 'desc', '1', '-1']).default('ASC'),
});

/** GET of what those that measure nodes have posted about one. */
export function registerNodeMetrics(
  app: FastifyInstance,
  { views, metricsSources }: Pick<ApiComponents, 'views' | 'metricsSources'>,
): void {
  for (const [kind, { name, members }] of Object.entries(KINDS)) {
    const column = z.array(z.number().nullable());
    const measured = z.object(Object.fromEntries(members.map((member) => [member, column])));
    const metrics = measured.extend({ item_hash: z.array(z.string()), measured_at: z.array(z.number()) });
    const response = z.object({ metrics });
    const doc = { summary: `What was measured of a ${kind} node`, tag: 'node', params, query, response };
    app.get(`/api/v0/${kind}/:node_id/metrics`, { config: { doc } }, async (request) => {
      const { node_id: nodeId } = readParams(params, request.params);
      const { start_date: start, end_date: end, sort } = readParams(query, request.query);
      const to = end ?? Number.MAX_SAFE_INTEGER;
      const from = start ?? (end ?? Date.now() / 1000) - WINDOW_SECONDS;
      const found = views.measurements({ kind: name, nodeId, from, to, sources: metricsSources });
      if (found.length === 0) throw new VmletError('NODE_UNMEASURED', { operands: { nodeId } });
      return { metrics: columnsOf(/^(desc|-1)$/i.test(sort) ? found.toReversed() : found, members) };
    });
  }
}

/** A column for each member, as the network tells them; what is no number was not measured. */
function columnsOf(found: readonly Measurement[], members: readonly string[]) {
  const columns = members.map((member) => [member, found.map(({ entry }) => numberOf(entry[member]))] as const);
  return {
    item_hash: found.map(({ itemHash }) => itemHash),
    measured_at: found.map(({ entry }) => entry.measured_at),
    ...Object.fromEntries(columns),
  };
}

function numberOf(value: unknown): number | null {
  return typeof value === 'number' ? value : null;
}
