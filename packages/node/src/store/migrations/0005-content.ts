import type { Migration } from './migration.ts';

/** Files that nothing holds. */
export const contentPins: Migration = {
  version: 5,
  up: `
    -- Files that nothing holds, by their SHA-256, and since when that is known. They go once the grace has passed.
    CREATE TABLE unheld_files (
      file_hash TEXT PRIMARY KEY,
      since_ms  INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
  `,
};
