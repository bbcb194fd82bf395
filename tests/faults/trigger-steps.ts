import type { Failpoint } from '../../packages/node/src/failpoint.ts';

/** The steps of telling a program of a message, in their order, and how often it may have been told when the node is killed there. */
export const TELLING: { step: Failpoint; times: number[] }[] = [
  { step: 'trigger.matched', times: [1] },
  { step: 'trigger.recorded', times: [1] },
  // It is not known whether it had come that far.
  { step: 'trigger.sent', times: [1, 2] },
  { step: 'trigger.answered', times: [2] },
];
