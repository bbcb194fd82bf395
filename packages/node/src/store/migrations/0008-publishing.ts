import type { Migration } from './migration.ts';

/**
 * Runtimes: STOREs whose metadata says that they are one. Each index has those in force only, so that one is found among
 * any number of messages; they are kept by SQLite itself, however a message comes into force.
 */
export const publishing: Migration = {
  version: 8,
  up: `
    CREATE INDEX runtimes_by_position ON messages (position)
      WHERE type = 'STORE' AND status = 'processed' AND
        CASE WHEN json_valid(coalesce(item_content, content))
          THEN coalesce(item_content, content) ->> '$.metadata.kind' END = 'vmlet/runtime';
    CREATE INDEX runtimes_by_owner ON messages (lower(address), position)
      WHERE type = 'STORE' AND status = 'processed' AND
        CASE WHEN json_valid(coalesce(item_content, content))
          THEN coalesce(item_content, content) ->> '$.metadata.kind' END = 'vmlet/runtime';
    CREATE INDEX runtimes_by_name ON messages (coalesce(item_content, content) ->> '$.metadata.name', position)
      WHERE type = 'STORE' AND status = 'processed' AND
        CASE WHEN json_valid(coalesce(item_content, content))
          THEN coalesce(item_content, content) ->> '$.metadata.kind' END = 'vmlet/runtime';
  `,
};
