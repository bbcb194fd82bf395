/** Images seen from inside: a guest looks at them, and the host judges what it says. */
export { type CheckImageOptions, checkImage, describeImage, type RuntimeReport } from './check.ts';
export type { ImageFacts } from './facts.ts';
export type { ImageOptions } from './image-machine.ts';
export type { ClaimedFacts } from './judge/finding.ts';
export { readTree } from './tree.ts';
