import type { Migration } from './migration.ts';

const HEX_DIGIT = '[0-9a-fA-F]';
/** The form addresses are looked up by: EVM ones in lower case, all others as they are. */
const KEY = (column: string) =>
  `CASE WHEN ${column} GLOB '0[xX]${HEX_DIGIT.repeat(40)}' THEN lower(${column}) ELSE ${column} END`;
const IN_FORCE = (row: string) => `(${row}.status IN ('processed', 'removing') AND ${row}.address IS NOT NULL)`;
const TYPES = ['POST', 'AGGREGATE', 'STORE', 'PROGRAM', 'INSTANCE', 'FORGET'];
const COLUMNS = TYPES.map((type) => `${type.toLowerCase()}_count`);
const ONE = (row: string) => TYPES.map((type) => `${row}.type = '${type}'`);
const CHANGED = (sign: string, row: string) =>
  COLUMNS.map((column, index) => `${column} = ${column} ${sign} (${ONE(row)[index]})`).join(', ');

const COUNT = `
  INSERT INTO address_stats (key, address, total, ${COLUMNS.join(', ')})
    VALUES (${KEY('new.address')}, new.address, 1, ${ONE('new').join(', ')})
    ON CONFLICT (key) DO UPDATE SET total = total + 1, ${CHANGED('+', 'new')};
  INSERT INTO address_channels (key, channel, count)
    SELECT ${KEY('new.address')}, new.channel, 1 WHERE new.channel IS NOT NULL
    ON CONFLICT (key, channel) DO UPDATE SET count = count + 1;`;
const DISCOUNT = `
  UPDATE address_stats SET total = total - 1, ${CHANGED('-', 'old')} WHERE key = ${KEY('old.address')};
  DELETE FROM address_stats WHERE key = ${KEY('old.address')} AND total = 0;
  UPDATE address_channels SET count = count - 1 WHERE key = ${KEY('old.address')} AND channel = old.channel;
  DELETE FROM address_channels WHERE key = ${KEY('old.address')} AND channel = old.channel AND count = 0;`;

/** What public lists that are not of messages are found by. */
export const publicViews: Migration = {
  version: 9,
  up: `
    -- Who permits whom what: few of all members.
    CREATE INDEX aggregate_members_grants ON aggregate_members (address)
      WHERE key = 'security' AND name = 'authorizations';
    -- Measurements of nodes: few of all posts.
    CREATE INDEX posts_of_metrics ON posts (time) WHERE post_type = 'aleph-network-metrics';
    CREATE INDEX posts_by_address ON posts (address, post_type);

    -- Messages in force of each address, counted as they come and go. address is as it was first written; key is in
    -- lower case where case does not count.
    CREATE TABLE address_stats (
      key     TEXT PRIMARY KEY,
      address TEXT NOT NULL,
      total   INTEGER NOT NULL,
      ${COLUMNS.map((column) => `${column} INTEGER NOT NULL`).join(', ')}
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX address_stats_by_total ON address_stats (total, key);
    CREATE TABLE address_channels (
      key     TEXT NOT NULL,
      channel TEXT NOT NULL,
      count   INTEGER NOT NULL,
      PRIMARY KEY (key, channel)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO address_stats (key, address, total, ${COLUMNS.join(', ')})
      SELECT ${KEY('address')} AS key, min(address), count(*), ${TYPES.map((type) => `sum(type = '${type}')`).join(', ')}
      FROM messages WHERE ${IN_FORCE('messages')} GROUP BY key;
    INSERT INTO address_channels (key, channel, count)
      SELECT ${KEY('address')} AS key, channel, count(*)
      FROM messages WHERE ${IN_FORCE('messages')} AND channel IS NOT NULL GROUP BY key, channel;

    -- Whoever changes a message counts, whether or not it knows.
    CREATE TRIGGER address_message_inserted AFTER INSERT ON messages WHEN ${IN_FORCE('new')}
      BEGIN ${COUNT} END;
    CREATE TRIGGER address_message_came AFTER UPDATE OF status ON messages
      WHEN ${IN_FORCE('new')} AND NOT ${IN_FORCE('old')} BEGIN ${COUNT} END;
    CREATE TRIGGER address_message_went AFTER UPDATE OF status ON messages
      WHEN ${IN_FORCE('old')} AND NOT ${IN_FORCE('new')} BEGIN ${DISCOUNT} END;
    CREATE TRIGGER address_message_moved AFTER UPDATE OF channel ON messages
      WHEN ${IN_FORCE('old')} AND ${IN_FORCE('new')} AND old.channel IS NOT new.channel
      BEGIN ${DISCOUNT} ${COUNT} END;
    CREATE TRIGGER address_message_deleted AFTER DELETE ON messages WHEN ${IN_FORCE('old')}
      BEGIN ${DISCOUNT} END;
  `,
};
