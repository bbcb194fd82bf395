import type { Migration } from './migration.ts';

/** Names of programs, and programs that their owners stopped. */
export const namesAndStops: Migration = {
  version: 2,
  up: `
    -- Names of programs. item_hash is where a name leads, NULL once that was forgotten; last_version is the newest
    -- number that was given.
    CREATE TABLE names (
      name         TEXT PRIMARY KEY,
      address      TEXT NOT NULL,
      item_hash    TEXT REFERENCES programs (item_hash) ON DELETE SET NULL,
      last_version INTEGER NOT NULL DEFAULT 0
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX names_by_item_hash ON names (item_hash);

    -- The programs that a name has led to. previous is the version that served when this one came.
    CREATE TABLE name_versions (
      name      TEXT NOT NULL REFERENCES names (name) ON DELETE CASCADE ON UPDATE CASCADE,
      version   INTEGER NOT NULL,
      item_hash TEXT NOT NULL REFERENCES programs (item_hash) ON DELETE CASCADE,
      previous  INTEGER,
      named_ms  INTEGER NOT NULL,
      PRIMARY KEY (name, version),
      UNIQUE (name, item_hash)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX name_versions_by_item_hash ON name_versions (item_hash);

    -- Programs that their owners have stopped.
    CREATE TABLE stopped_programs (
      item_hash  TEXT PRIMARY KEY REFERENCES programs (item_hash) ON DELETE CASCADE,
      stopped_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
  `,
};
