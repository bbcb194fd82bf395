import type { NodeOptions } from './node-options.ts';
import type { createPrograms } from './programs.ts';
import type { NodeMetrics } from './telemetry/index.ts';
import { Triggers, type TriggersComponents } from './triggers/index.ts';

interface Opening extends Omit<TriggersComponents, 'findProgram' | 'retries' | 'metrics'> {
  stack: AsyncDisposableStack;
  programs: Pick<ReturnType<typeof createPrograms>, 'find'>;
  metrics: NodeMetrics;
}

/** To be called before anything is accepted: what came until then is looked up in the ledger, what comes from then on is told. */
export function openTriggers(
  { triggerRetries: retries }: Pick<NodeOptions, 'triggerRetries'>,
  { stack, programs, ...made }: Opening,
): Triggers {
  const { database, ledger, executions, logs, metrics, timelines, log } = made;
  const shared = { database, ledger, executions, logs, metrics, timelines, log };
  const triggers = stack.use(new Triggers({ ...shared, findProgram: programs.find, retries }));
  metrics.metrics.gauge('vmlet_deliveries_kept', {
    help: 'Messages that programs have not taken yet, and dead letters.',
    read: () => Object.entries(triggers.count()).map(([state, value]) => ({ labels: { state }, value })),
  });
  return triggers;
}
