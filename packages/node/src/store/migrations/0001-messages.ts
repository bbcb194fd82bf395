import type { Migration } from './migration.ts';

/** The message log, and the index of STOREs and PROGRAMs. */
export const messagesAndIndex: Migration = {
  version: 1,
  up: `
    -- The message log. position is the order of acceptance.
    CREATE TABLE messages (
      position      INTEGER PRIMARY KEY AUTOINCREMENT,
      item_hash     TEXT NOT NULL UNIQUE,
      status        TEXT NOT NULL CHECK (status IN ('pending', 'processed', 'rejected', 'forgotten')),
      type          TEXT NOT NULL,
      chain         TEXT NOT NULL,
      sender        TEXT NOT NULL,
      channel       TEXT,
      time          REAL NOT NULL,
      item_type     TEXT NOT NULL,
      item_content  TEXT,
      signature     TEXT NOT NULL,
      address       TEXT,
      content       TEXT,
      received_ms   INTEGER NOT NULL,
      error_code    INTEGER,
      error_details TEXT
    ) STRICT;
    CREATE INDEX messages_by_status ON messages (status, position);

    -- What pending messages wait for: a file's hash or a message's item_hash.
    CREATE TABLE waits (
      item_hash TEXT NOT NULL REFERENCES messages (item_hash) ON DELETE CASCADE,
      kind      TEXT NOT NULL CHECK (kind IN ('file', 'message')),
      wanted    TEXT NOT NULL,
      PRIMARY KEY (item_hash, kind, wanted)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX waits_by_wanted ON waits (kind, wanted);

    -- Processed STOREs. tag is what a newer STORE of the same owner updates; address is in lower case where case
    -- does not count.
    CREATE TABLE stores (
      item_hash  TEXT PRIMARY KEY REFERENCES messages (item_hash) ON DELETE CASCADE,
      address    TEXT NOT NULL,
      file_hash  TEXT NOT NULL,
      size_bytes INTEGER NOT NULL,
      tag        TEXT NOT NULL,
      is_update  INTEGER NOT NULL,
      time       REAL NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX stores_by_address ON stores (address, time);
    CREATE INDEX stores_by_tag ON stores (tag, time);
    CREATE INDEX stores_by_file ON stores (file_hash);

    -- Processed PROGRAMs, and the STOREs they use.
    CREATE TABLE programs (
      item_hash TEXT PRIMARY KEY REFERENCES messages (item_hash) ON DELETE CASCADE,
      address   TEXT NOT NULL,
      replaces  TEXT,
      time      REAL NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX programs_by_replaces ON programs (replaces) WHERE replaces IS NOT NULL;
    CREATE TABLE program_refs (
      item_hash TEXT NOT NULL REFERENCES programs (item_hash) ON DELETE CASCADE,
      ref       TEXT NOT NULL,
      PRIMARY KEY (item_hash, ref)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX program_refs_by_ref ON program_refs (ref);

    -- Which FORGETs forgot a message, in the order of rowid.
    CREATE TABLE forgets (
      target       TEXT NOT NULL REFERENCES messages (item_hash) ON DELETE CASCADE,
      forgotten_by TEXT NOT NULL,
      PRIMARY KEY (target, forgotten_by)
    ) STRICT;
  `,
};
