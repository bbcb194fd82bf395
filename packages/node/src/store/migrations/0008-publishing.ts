import type { Migration } from './migration.ts';

/** Aliases of runtimes. */
export const publishing: Migration = {
  version: 8,
  up: '',
};
