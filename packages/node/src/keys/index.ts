/** The owner's key on disk. */
export { loadOrCreateKey, type OwnerKey } from './owner-key.ts';
