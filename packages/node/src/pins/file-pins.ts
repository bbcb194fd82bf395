import type { FileHash, ItemHash } from '@vmlet/messages';
import { ownerKey } from '../admission/index.ts';
import type { openDatabase } from '../store/index.ts';

type NodeDatabase = ReturnType<typeof openDatabase>;

/** A file that a STORE in force names. */
export interface PinnedFile {
  readonly fileHash: FileHash;
  readonly sizeBytes: number;
  /** When its STORE was signed, in seconds since 1970. */
  readonly time: number;
  readonly itemHash: ItemHash;
}

/** What messages hold which files: read from the ledger's index, where STOREs in force stand. */
export class FilePins {
  readonly #statements: ReturnType<typeof prepare>;

  constructor(database: NodeDatabase) {
    this.#statements = prepare(database);
  }

  /**
   * Whether a file is needed, by any of its names: a STORE in force names it, unless that is being given up and no
   * program uses it; it is the content of a message; or a message waits for it.
   */
  isHeld(names: readonly FileHash[]): boolean {
    return this.#statements.held.get({ names: JSON.stringify(names) }) !== undefined;
  }

  /** How many STOREs in force name a file. */
  count(names: readonly FileHash[]): number {
    return this.#statements.count.get({ names: JSON.stringify(names) })?.count ?? 0;
  }

  /** The STOREs that name a file and are being given up. */
  givenUp(names: readonly FileHash[]): ItemHash[] {
    return this.#statements.givenUp.all({ names: JSON.stringify(names) }).map((row) => row.itemHash);
  }

  /** How many files an address has here, and how many bytes those are. */
  totalOf(address: string): { count: number; sizeBytes: number } {
    const { count = 0, sizeBytes = 0 } = this.#statements.total.get(ownerKey(address)) ?? {};
    return { count, sizeBytes: sizeBytes ?? 0 };
  }

  /** The files of an address, newest first. */
  filesOf(address: string, { limit, offset }: { limit: number; offset: number }): PinnedFile[] {
    return this.#statements.files.all(ownerKey(address), limit, offset);
  }
}

function prepare(database: NodeDatabase) {
  const named = 'IN (SELECT value FROM json_each(@names))';
  const isUsed = (table: string) => `EXISTS (SELECT 1 FROM ${table} WHERE ref IN (stores.item_hash, stores.tag))`;
  return {
    held: database.prepare<[{ names: string }], unknown>(`
      SELECT 1 FROM stores JOIN messages USING (item_hash) WHERE file_hash ${named}
        AND (status = 'processed' OR ${isUsed('program_refs')} OR ${isUsed('instance_refs')})
      UNION ALL SELECT 1 FROM messages WHERE item_hash ${named} AND item_type <> 'inline'
        AND status IN ('pending', 'processed', 'removing')
      UNION ALL SELECT 1 FROM waits WHERE kind = 'file' AND wanted ${named}
      LIMIT 1`),
    count: database.prepare<[{ names: string }], { count: number }>(
      `SELECT count(*) AS count FROM stores WHERE file_hash ${named}`,
    ),
    givenUp: database.prepare<[{ names: string }], { itemHash: ItemHash }>(`
      SELECT item_hash AS itemHash FROM stores JOIN messages USING (item_hash)
      WHERE file_hash ${named} AND status = 'removing'`),
    total: database.prepare<[string], { count: number; sizeBytes: number | null }>(
      'SELECT count(*) AS count, sum(size_bytes) AS sizeBytes FROM stores WHERE address = ?',
    ),
    files: database.prepare<[string, number, number], PinnedFile>(`
      SELECT file_hash AS fileHash, size_bytes AS sizeBytes, time, item_hash AS itemHash
      FROM stores WHERE address = ? ORDER BY time DESC, item_hash LIMIT ? OFFSET ?`),
  };
}
