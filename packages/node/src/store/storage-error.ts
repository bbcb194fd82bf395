import Database from 'better-sqlite3';
import { VmletError } from '../errors.ts';

const NO_SPACE = new Set(['ENOSPC', 'EDQUOT', 'EFBIG', 'SQLITE_FULL']);

/** The errno name of a failed system call, or undefined for any other value. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' && 'syscall' in error ? error.code : undefined;
}

/**
 * A failed system call as a catalogue error: a full disk or quota is `STORAGE_FULL` (507), the rest
 * `STORAGE_FAILED`. Any other value comes back as it is, so that an aborted or cut-off source keeps its reason.
 *
 * @param name what was being written, for a person
 */
export function storageError(error: unknown, name: string): unknown {
  const cause = errnoOf(error) ?? sqliteCode(error);
  if (cause === undefined) return error;
  const code = NO_SPACE.has(cause) ? 'STORAGE_FULL' : 'STORAGE_FAILED';
  return new VmletError(code, { operands: { name, cause }, cause: error });
}

/** The code of a failed write to a database's files; a fault of the statement is none. */
function sqliteCode(error: unknown): string | undefined {
  if (!(error instanceof Database.SqliteError)) return undefined;
  return /^SQLITE_(FULL|IOERR|READONLY|CANTOPEN)/.test(error.code) ? error.code : undefined;
}
