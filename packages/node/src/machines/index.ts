/** MicroVMs: boot, load, halt, and what this host can run them with. */
export { type Probe, probeAccelerator } from './accelerator.ts';
export { type Backend, bootMachine } from './boot.ts';
export { haltMachine } from './halt.ts';
export { loadProgram } from './load.ts';
export type { LogLine, Machine } from './machine.ts';
export { sweepMachines } from './sweep.ts';
export type { StreamRequest } from './wire/wire.ts';
