import type { Failpoint } from '../../packages/node/src/failpoint.ts';

interface SnapshotStep {
  step: Failpoint;
  /** There is a machine then that can be killed. */
  machine: boolean;
}

/** The steps of saving a machine, in their order. */
export const SAVING: readonly SnapshotStep[] = [
  { step: 'snapshot.begun', machine: false },
  { step: 'snapshot.prepared', machine: true },
  { step: 'snapshot.frozen', machine: true },
  { step: 'snapshot.captured', machine: false },
  { step: 'snapshot.sealed', machine: false },
  { step: 'snapshot.placed', machine: false },
];

/** The steps of restoring one. */
export const RESTORING: readonly SnapshotStep[] = [
  { step: 'restore.spawned', machine: true },
  { step: 'restore.memory', machine: true },
  { step: 'restore.resumed', machine: true },
];
