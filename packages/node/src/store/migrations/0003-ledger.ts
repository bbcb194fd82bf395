import type { Migration } from './migration.ts';

/** States, posts, aggregates and instances. */
export const ledgerStates: Migration = {
  version: 3,
  rebuilds: true,
  up: `
    -- The message log. position is the order of acceptance, processed_seq the order in which messages came in force.
    -- What stands below reason is kept once a message is forgotten or removed: rules ask for it.
    CREATE TABLE new_messages (
      position        INTEGER PRIMARY KEY AUTOINCREMENT,
      item_hash       TEXT NOT NULL UNIQUE,
      status          TEXT NOT NULL
        CHECK (status IN ('pending', 'processed', 'rejected', 'forgotten', 'removing', 'removed')),
      type            TEXT NOT NULL,
      chain           TEXT NOT NULL,
      sender          TEXT NOT NULL,
      channel         TEXT,
      time            REAL NOT NULL,
      item_type       TEXT NOT NULL,
      item_content    TEXT,
      signature       TEXT NOT NULL,
      address         TEXT,
      content         TEXT,
      received_ms     INTEGER NOT NULL,
      error_code      INTEGER,
      error_details   TEXT,
      processed_seq   INTEGER UNIQUE,
      size_bytes      INTEGER NOT NULL DEFAULT 0,
      tries           INTEGER NOT NULL DEFAULT 0,
      next_attempt_ms INTEGER,
      removed_ms      INTEGER,
      reason          TEXT,
      signed_time     REAL,
      topic           TEXT,
      updates         TEXT,
      allow_amend     INTEGER
    ) STRICT;
    INSERT INTO new_messages (position, item_hash, status, type, chain, sender, channel, time, item_type, item_content,
        signature, address, content, received_ms, error_code, error_details, size_bytes, signed_time, updates, allow_amend)
      SELECT position, item_hash, status, type, chain, sender, channel, time, item_type, item_content,
        signature, address, content, received_ms, error_code, error_details,
        octet_length(coalesce(item_content, content, '')),
        CASE WHEN json_valid(coalesce(item_content, content)) THEN coalesce(item_content, content) ->> '$.time' END,
        CASE WHEN status = 'processed' AND type = 'PROGRAM' THEN coalesce(item_content, content) ->> '$.replaces' END,
        CASE WHEN status = 'processed' AND type = 'PROGRAM' THEN coalesce(item_content, content) ->> '$.allow_amend' END
      FROM messages ORDER BY position;
    DROP TABLE messages;
    ALTER TABLE new_messages RENAME TO messages;
    UPDATE messages SET updates = (SELECT tag FROM stores WHERE stores.item_hash = messages.item_hash AND is_update = 1)
      WHERE type = 'STORE' AND status = 'processed';
    UPDATE messages SET updates = NULL WHERE updates LIKE '%/%';
    -- Until now these three were kept and had no effect. The ledger applies them as it opens.
    UPDATE messages SET status = 'pending', next_attempt_ms = 0
      WHERE status = 'processed' AND type IN ('POST', 'AGGREGATE', 'INSTANCE');
    UPDATE messages SET processed_seq = position WHERE status IN ('processed', 'forgotten');
    UPDATE messages SET next_attempt_ms = 0 WHERE status = 'pending';
    CREATE INDEX messages_by_status ON messages (status, position);
    CREATE INDEX messages_pending_by_sender ON messages (sender, size_bytes) WHERE status = 'pending';
    CREATE INDEX messages_pending_due ON messages (next_attempt_ms) WHERE status = 'pending';
    CREATE INDEX messages_by_updates ON messages (updates) WHERE updates IS NOT NULL;

    -- What pending messages wait for: a file's hash, a message's item_hash, or an aggregate's owner and key.
    CREATE TABLE new_waits (
      item_hash TEXT NOT NULL REFERENCES messages (item_hash) ON DELETE CASCADE,
      kind      TEXT NOT NULL CHECK (kind IN ('file', 'message', 'aggregate')),
      wanted    TEXT NOT NULL,
      PRIMARY KEY (item_hash, kind, wanted)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO new_waits SELECT item_hash, kind, wanted FROM waits;
    DROP TABLE waits;
    ALTER TABLE new_waits RENAME TO waits;
    CREATE INDEX waits_by_wanted ON waits (kind, wanted);

    -- Copies of a pending message whose content is not here: which one to keep depends on the time that was signed.
    CREATE TABLE message_copies (
      item_hash TEXT NOT NULL REFERENCES messages (item_hash) ON DELETE CASCADE,
      copy      TEXT NOT NULL
    ) STRICT;
    CREATE INDEX message_copies_by_item_hash ON message_copies (item_hash);

    -- POSTs in force. amends is the original of an amend; of an original, latest is the message whose content counts
    -- (itself, or its newest amend), and last_updated the time of that one. address is in lower case where case does
    -- not count.
    CREATE TABLE posts (
      item_hash    TEXT PRIMARY KEY REFERENCES messages (item_hash) ON DELETE CASCADE,
      address      TEXT NOT NULL,
      post_type    TEXT NOT NULL,
      ref          TEXT,
      amends       TEXT,
      time         REAL NOT NULL,
      latest       TEXT NOT NULL,
      last_updated REAL NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX posts_by_amends ON posts (amends, time) WHERE amends IS NOT NULL;

    -- AGGREGATEs in force. content is the JSON object to be merged.
    CREATE TABLE aggregate_elements (
      item_hash TEXT PRIMARY KEY REFERENCES messages (item_hash) ON DELETE CASCADE,
      address   TEXT NOT NULL,
      key       TEXT NOT NULL,
      time      REAL NOT NULL,
      content   TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX aggregate_elements_by_key ON aggregate_elements (address, key, time, item_hash);

    -- What they come to. owner is the address as it was written last.
    CREATE TABLE aggregate_keys (
      address      TEXT NOT NULL,
      key          TEXT NOT NULL,
      owner        TEXT NOT NULL,
      created      REAL NOT NULL,
      last_updated REAL NOT NULL,
      PRIMARY KEY (address, key)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX aggregate_keys_by_time ON aggregate_keys (last_updated);

    -- Each member with the newest value that was signed for it: elements may come in any order. value is JSON.
    CREATE TABLE aggregate_members (
      address   TEXT NOT NULL,
      key       TEXT NOT NULL,
      name      TEXT NOT NULL,
      value     TEXT NOT NULL,
      time      REAL NOT NULL,
      item_hash TEXT NOT NULL,
      PRIMARY KEY (address, key, name)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX aggregate_members_by_item_hash ON aggregate_members (item_hash);

    CREATE VIEW aggregates AS
      SELECT address, key, owner, created, last_updated,
        (SELECT json_group_object(name, json(value)) FROM aggregate_members AS member
          WHERE member.address = aggregate_keys.address AND member.key = aggregate_keys.key) AS content
      FROM aggregate_keys;

    -- Keys that have lost their last element.
    CREATE TABLE aggregate_gone (
      address TEXT NOT NULL,
      key     TEXT NOT NULL,
      PRIMARY KEY (address, key)
    ) STRICT, WITHOUT ROWID;

    -- Keys that were forgotten: elements signed until then are, too, when they come later.
    CREATE TABLE aggregate_forgets (
      address      TEXT NOT NULL,
      key          TEXT NOT NULL,
      time         REAL NOT NULL,
      forgotten_by TEXT NOT NULL REFERENCES messages (item_hash) ON DELETE CASCADE,
      PRIMARY KEY (address, key, forgotten_by)
    ) STRICT, WITHOUT ROWID;

    -- INSTANCEs in force, and the STOREs that programs and instances use.
    CREATE TABLE instances (
      item_hash TEXT PRIMARY KEY REFERENCES messages (item_hash) ON DELETE CASCADE,
      address   TEXT NOT NULL,
      replaces  TEXT,
      time      REAL NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX instances_by_address ON instances (address);
    CREATE INDEX instances_by_replaces ON instances (replaces) WHERE replaces IS NOT NULL;
    CREATE TABLE instance_refs (
      item_hash  TEXT NOT NULL REFERENCES instances (item_hash) ON DELETE CASCADE,
      ref        TEXT NOT NULL,
      use_latest INTEGER NOT NULL,
      PRIMARY KEY (item_hash, ref)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX instance_refs_by_ref ON instance_refs (ref);
    CREATE INDEX programs_by_address ON programs (address);
    ALTER TABLE program_refs ADD COLUMN use_latest INTEGER NOT NULL DEFAULT 0;
    UPDATE program_refs SET use_latest = 1 WHERE EXISTS (
      SELECT 1 FROM (SELECT coalesce(item_content, content) AS text FROM messages
        WHERE messages.item_hash = program_refs.item_hash) WHERE
        (text ->> '$.runtime.ref' = ref AND coalesce(text ->> '$.runtime.use_latest', 1))
        OR (text ->> '$.code.ref' = ref AND coalesce(text ->> '$.code.use_latest', 0))
        OR (text ->> '$.data.ref' = ref AND coalesce(text ->> '$.data.use_latest', 0))
        OR EXISTS (SELECT 1 FROM json_each(text, '$.volumes') WHERE
          (value ->> '$.ref' = ref AND coalesce(value ->> '$.use_latest', 1))
          OR (value ->> '$.parent.ref' = ref AND coalesce(value ->> '$.parent.use_latest', 1))));
  `,
};
