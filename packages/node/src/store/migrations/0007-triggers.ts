import type { Migration } from './migration.ts';

/** Subscriptions and deliveries. */
export const triggers: Migration = {
  version: 7,
  up: `
    -- Up to which message of the ledger (its seq) programs have been told, one row.
    CREATE TABLE trigger_cursor (
      id  INTEGER PRIMARY KEY CHECK (id = 1),
      seq INTEGER NOT NULL
    ) STRICT;

    -- Messages that programs have not confirmed. program is the original of a program and its replacements; a dead one is
    -- kept for its owner to see, and not sent again by itself.
    CREATE TABLE trigger_deliveries (
      id         INTEGER PRIMARY KEY AUTOINCREMENT,
      program    TEXT NOT NULL REFERENCES programs (item_hash) ON DELETE CASCADE,
      message    TEXT NOT NULL,
      seq        INTEGER NOT NULL,
      state      TEXT NOT NULL CHECK (state IN ('waiting', 'dead')),
      tries      INTEGER NOT NULL DEFAULT 0,
      due_ms     INTEGER NOT NULL,
      created_ms INTEGER NOT NULL,
      failure    TEXT,
      UNIQUE (program, message)
    ) STRICT;
    CREATE INDEX trigger_deliveries_by_program ON trigger_deliveries (program, state, due_ms, id);
    CREATE INDEX trigger_deliveries_by_due ON trigger_deliveries (state, due_ms);
  `,
};
