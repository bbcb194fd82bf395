/** Cages: what confines a machine's process. */
export type { Destination, EgressOptions } from '../network/egress.ts';
export { bareCage, Cage, type CagePlaces, type CageRequest } from './cage.ts';
export { type CageFindings, missing } from './findings.ts';
export { openCage } from './open.ts';
export type { UidRange } from './uids.ts';
