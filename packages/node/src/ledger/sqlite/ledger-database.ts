import type { openDatabase } from '../../store/index.ts';

/** The database the ledger lives in: node.db, migrated. */
export type LedgerDatabase = ReturnType<typeof openDatabase>;
