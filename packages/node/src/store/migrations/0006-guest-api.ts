import type { Migration } from './migration.ts';

/**
 * Which address is whose: what a program publishes counts for its owner, also when the program is gone. Its secret is a
 * file, and what it keeps for a while stands in a database of its own.
 */
export const guestApi: Migration = {
  version: 6,
  up: `
    CREATE TABLE program_addresses (
      item_hash TEXT PRIMARY KEY,
      address TEXT NOT NULL UNIQUE,
      owner TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX program_addresses_owner ON program_addresses (owner);
  `,
};
