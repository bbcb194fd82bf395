import type { Migration } from './migration.ts';

/** States, posts and aggregates. */
export const ledgerStates: Migration = {
  version: 3,
  up: '',
};
