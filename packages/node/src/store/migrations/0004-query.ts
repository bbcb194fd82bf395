import type { Migration } from './migration.ts';

/** What lists of messages are read from. */
export const queryIndex: Migration = {
  version: 4,
  up: '',
};
