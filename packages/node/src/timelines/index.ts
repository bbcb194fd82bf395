/** How programs started lately, and what would make that faster. */
export { adviceOn, type SnapshotState, type StartFacts } from './advice.ts';
export { type Phase, type StartedFrom, startText, type WakePhases, withQueue } from './phases.ts';
export { Timelines } from './timelines.ts';
