import type { Migration } from './migration.ts';

/** What lists of messages are read from. */
export const queryIndex: Migration = {
  version: 4,
  up: `
    -- A list is cut into blocks of at most 1,024 places. A block has all that comes from its own bound on (sort
    -- descending, then hash) to the next block's; the first one's bound is infinite.
    CREATE TABLE list_blocks (
      id        INTEGER PRIMARY KEY,
      list      INTEGER NOT NULL,
      sort      REAL NOT NULL,
      hash      TEXT NOT NULL,
      next_slot INTEGER NOT NULL,
      count     INTEGER NOT NULL,
      UNIQUE (list, sort DESC, hash)
    ) STRICT;

    -- The places. facets are the ids of what the message is found by, 4 bytes each, little-endian.
    CREATE TABLE list_entries (
      block    INTEGER NOT NULL,
      slot     INTEGER NOT NULL,
      list     INTEGER NOT NULL,
      position INTEGER NOT NULL,
      sort     REAL NOT NULL,
      facets   BLOB NOT NULL,
      PRIMARY KEY (block, slot)
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX list_entries_by_position ON list_entries (position, list);

    -- What messages are found by, with how many there are. slots has the places in a block: 2 bytes each, or one bit for
    -- each place where that is shorter.
    CREATE TABLE list_facets (
      id    INTEGER PRIMARY KEY,
      list  INTEGER NOT NULL,
      kind  TEXT NOT NULL,
      value TEXT NOT NULL,
      count INTEGER NOT NULL,
      UNIQUE (list, kind, value)
    ) STRICT;
    CREATE TABLE list_bits (
      facet INTEGER NOT NULL,
      block INTEGER NOT NULL,
      slots BLOB NOT NULL,
      PRIMARY KEY (facet, block)
    ) STRICT, WITHOUT ROWID;

    -- Messages of which a row has changed since the lists were last brought up to date: the triggers let no change be
    -- forgotten, whoever makes it. is_new if it is in no list yet.
    CREATE TABLE list_queue (position INTEGER PRIMARY KEY, is_new INTEGER NOT NULL) STRICT;
    CREATE TRIGGER list_message_inserted AFTER INSERT ON messages BEGIN
      INSERT OR IGNORE INTO list_queue VALUES (new.position, 1);
    END;
    CREATE TRIGGER list_message_updated AFTER UPDATE OF status, time, channel, address, item_content, content ON messages
    BEGIN
      INSERT OR IGNORE INTO list_queue VALUES (new.position, 0);
    END;
    CREATE TRIGGER list_message_deleted AFTER DELETE ON messages BEGIN
      INSERT OR IGNORE INTO list_queue VALUES (old.position, 0);
    END;
    CREATE TRIGGER list_post_inserted AFTER INSERT ON posts BEGIN
      INSERT OR IGNORE INTO list_queue SELECT position, 0 FROM messages WHERE item_hash = new.item_hash;
    END;
    CREATE TRIGGER list_post_updated AFTER UPDATE ON posts BEGIN
      INSERT OR IGNORE INTO list_queue SELECT position, 0 FROM messages WHERE item_hash = new.item_hash;
    END;
    CREATE TRIGGER list_post_deleted AFTER DELETE ON posts BEGIN
      INSERT OR IGNORE INTO list_queue SELECT position, 0 FROM messages WHERE item_hash = old.item_hash;
    END;
    INSERT INTO list_queue SELECT position, 1 FROM messages;
  `,
};
