/** Files by the SHA-256 of their bytes, and by their CID. */

export { canonicalCid, namesOfCid } from './cid.ts';
export { openFileStore } from './files/file-store.ts';
export type {
  ContentKind,
  ContentListener,
  ContentReading,
  ContentStore,
  FoundContent,
  KeptContent,
  StagedContent,
  StageOptions,
  StoredContent,
} from './store.ts';
