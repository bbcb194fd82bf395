import { type Counter, type Histogram, Metrics } from './metrics.ts';

/** Bounds of the buckets that starts and their steps are counted in, in milliseconds: what wakes of each kind may take. */
export const START_BUCKETS = [5, 10, 25, 50, 100, 150, 250, 500, 1000, 2500, 5000, 10_000, 30_000] as const;

/** What the parts of a node count. */
export interface NodeMetrics {
  /** All of it, for whoever asks; figures that are looked up are added by `main.ts`. */
  readonly metrics: Metrics;
  /** Machines that came to answer, by what they were made from. */
  readonly starts: Counter<'from'>;
  /** From the request that wanted the machine to the first byte of the program's answer to it. */
  readonly startMs: Histogram<'from'>;
  readonly startStepMs: Histogram<'from' | 'step'>;
  /** Requests to programs that got an answer, by the first digit of its status; those to the API are not counted. */
  readonly requests: Counter<'status'>;
  /** Requests to programs that the platform answered, or cut, by the code of the error. */
  readonly failures: Counter<'code'>;
  /** Tries to tell programs of messages, by what came of them. */
  readonly deliveries: Counter<'outcome'>;
}

/** Figures of a node that has just started. */
export function createNodeMetrics(): NodeMetrics {
  const metrics = new Metrics();
  return {
    metrics,
    starts: metrics.counter('vmlet_starts', 'Machines that came to answer, by what they were made from.'),
    startMs: metrics.histogram('vmlet_start_seconds', {
      help: 'From the request that wanted a machine to the first byte of its answer.',
      boundsMs: START_BUCKETS,
    }),
    startStepMs: metrics.histogram('vmlet_start_step_seconds', {
      help: 'The steps of starts: queue, those of the machine, app for the first byte of the program.',
      boundsMs: START_BUCKETS,
    }),
    requests: metrics.counter('vmlet_requests', 'Requests to programs that were answered, by class of status.'),
    failures: metrics.counter('vmlet_failures', 'Requests to programs that failed, by the code of the error.'),
    deliveries: metrics.counter('vmlet_deliveries', 'Messages handed to programs, by what came of it.'),
  };
}
