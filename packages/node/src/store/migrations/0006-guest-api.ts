import type { Migration } from './migration.ts';

/** What programs keep through the guest API. */
export const guestApi: Migration = {
  version: 6,
  up: '',
};
