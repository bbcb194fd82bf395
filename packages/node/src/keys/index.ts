/** Keys on disk: the owner's, and one for each program. */
export { loadOrCreateKey, type OwnerKey } from './owner-key.ts';
export { loadOrCreateProgramKey, type ProgramKey, removeProgramKey } from './program-key.ts';
