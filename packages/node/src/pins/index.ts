/** What keeps files, and the removal of those that nothing keeps. */
export { Collector, type CollectorComponents, FILE_GRACE_MS } from './collector.ts';
export { FilePins, type PinnedFile } from './file-pins.ts';
export { UnheldMarks } from './marks.ts';
export type { CollectionSummary } from './summary.ts';
