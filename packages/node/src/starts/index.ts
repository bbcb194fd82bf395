/** From a program's files to a machine that answers, by the quickest way; and what makes that way. */
export { hostFacts, keysOf } from './inputs.ts';
export { SnapshotMaker, type Turn } from './maker.ts';
export { type Saved, type Started, Starts } from './starts.ts';
