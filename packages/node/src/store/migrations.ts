/** One step of a database's schema. Steps are never edited once released: a change is a new step at the end. */
export interface Migration {
  /** 1 for the first, then one more each; stands in SQLite's `user_version`. */
  readonly version: number;
  readonly up: string;
}

/** The schema of node.db. All parts share one list, for they share one file. */
export const nodeMigrations: readonly Migration[] = [
  {
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
  },
  {
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
  },
];
