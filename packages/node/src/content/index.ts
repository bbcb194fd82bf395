/** Files by the SHA-256 of their bytes. */
export { openFileStore } from './files/file-store.ts';
export type {
  ContentListener,
  ContentReading,
  ContentStore,
  StagedContent,
  StageOptions,
  StoredContent,
} from './store.ts';
