/** Cages: what confines a machine's process. */
export { bareCage, Cage, type CageImage, type CagedProcess } from './cage.ts';
export { type CageFindings, missing } from './findings.ts';
export { openCage } from './open.ts';
export { DEFAULT_UIDS, type UidRange } from './uids.ts';
