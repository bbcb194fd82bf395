import type { Migration } from './migration.ts';

/** Files, and what keeps them. */
export const contentPins: Migration = {
  version: 5,
  up: '',
};
