/** Memory and device state of machines, on disk, by all that they depend on. */
export { type SnapshotInputs, snapshotKey } from './format.ts';
export { type Snapshot, type SnapshotDraft, Snapshots } from './snapshots.ts';
export { hashFile } from './stamp.ts';
