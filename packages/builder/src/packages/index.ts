/** Which packages a build is of, and where they are kept. */
export { keptPath } from './fetch.ts';
export { type Lock, type LockedPackage, parseLock, readLock } from './lock.ts';
