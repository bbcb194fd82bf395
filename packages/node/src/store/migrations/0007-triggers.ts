import type { Migration } from './migration.ts';

/** Subscriptions and deliveries. */
export const triggers: Migration = {
  version: 7,
  up: '',
};
