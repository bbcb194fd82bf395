/** Files by the SHA-256 of their bytes, and by their CID. */
export { canonicalCid, namesOfCid } from './cid.ts';
export { openFileStore } from './files/file-store.ts';
export type { ContentKind, KeptContent, StageOptions } from './options.ts';
export type { ContentStore, FoundContent, StagedContent } from './store.ts';
