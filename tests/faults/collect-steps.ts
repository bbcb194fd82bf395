import type { Failpoint } from '../../packages/node/src/failpoint.ts';

/** The steps of a collection, in their order, and whether the file is still there when the node is killed at them. */
export const COLLECTING: { step: Failpoint; isThere: boolean }[] = [
  { step: 'content.collecting', isThere: true },
  { step: 'content.collected', isThere: false },
];
