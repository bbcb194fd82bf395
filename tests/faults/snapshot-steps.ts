import type { Failpoint } from '../../packages/node/src/failpoint.ts';

interface SavingStep {
  step: Failpoint;
  /** There is a machine then that can be killed. */
  machine: boolean;
}

/** The steps of saving a machine, in their order. */
export const SAVING: readonly SavingStep[] = [
  { step: 'snapshot.begun', machine: false },
  { step: 'snapshot.prepared', machine: true },
  { step: 'snapshot.frozen', machine: true },
  { step: 'snapshot.captured', machine: false },
  { step: 'snapshot.sealed', machine: false },
  { step: 'snapshot.placed', machine: false },
];

/** The steps of restoring one, and whether who waits for it is told when it dies there: it is as good as running then. */
export const RESTORING: readonly { step: Failpoint; isTold: boolean }[] = [
  { step: 'restore.spawned', isTold: false },
  { step: 'restore.memory', isTold: false },
  { step: 'restore.resumed', isTold: true },
];
