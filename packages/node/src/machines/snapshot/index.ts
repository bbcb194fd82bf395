/** Machines saved to files, and started from them. */

export type { MachineSpec } from '../boot.ts';
export { captureMachine } from '../capture.ts';
export { WaitingMachines } from '../late/pool.ts';
export type { LoadRequest } from '../machine.ts';
export { expectRestores, restoreMachine, type SnapshotFiles } from '../restore.ts';
export { shapeOf } from '../shape.ts';
export { openStateReceiver, type StateReceiver } from '../state-receiver.ts';
