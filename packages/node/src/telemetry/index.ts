/** What the node says of itself. */
export { type Check, examine, type Finding, type Probe } from './health.ts';
export { createLogger, type Logger } from './log.ts';
export { OPENMETRICS_TYPE } from './metrics.ts';
export { createNodeMetrics, type NodeMetrics } from './node-metrics.ts';
export { usageOf } from './usage.ts';
