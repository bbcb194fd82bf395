/** Machines that a distribution's own init brings up, each on a disk of its own. */
export { makeDisk } from './disk.ts';
export { bootInstance, haltInstance } from './instance.ts';
