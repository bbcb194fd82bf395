import type { ItemHash } from '@vmlet/messages';
import type { DeploymentsDatabase } from './name-tables.ts';

/** Puts a program in force, as far as the tables of names are concerned. */
export function insertProgram(database: DeploymentsDatabase, itemHash: ItemHash, address: string): void {
  database
    .prepare(
      `INSERT INTO messages (item_hash, status, type, chain, sender, time, item_type, signature, received_ms)
       VALUES (?, 'processed', 'PROGRAM', 'ETH', ?, 1, 'inline', '', 1)`,
    )
    .run(itemHash, address);
  database.prepare('INSERT INTO programs (item_hash, address, time) VALUES (?, ?, 1)').run(itemHash, address);
}
