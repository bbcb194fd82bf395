import Database from 'better-sqlite3';
import { VmletError } from '../errors.ts';

/**
 * Locks a home for this process.
 *
 * The lock is an exclusive transaction on an empty SQLite database. The kernel ends it with the process, kill -9
 * included, so there is no stale lock and no pid to mistake for another's; child processes do not inherit it; and
 * SQLite also refuses a second holder within one process. Nothing else may open the file: closing any descriptor
 * of it would end the lock.
 *
 * @throws VmletError `HOME_LOCKED` if another holder exists
 */
export function takeLock(path: string, { dir }: { dir: string }): Disposable {
  const database = new Database(path, { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY')) {
      throw new VmletError('HOME_LOCKED', { operands: { dir }, cause: error });
    }
    throw new VmletError('FORMAT_UNREADABLE', { operands: { path, cause: String(error) }, cause: error });
  }
  return {
    [Symbol.dispose]() {
      database.close();
    },
  };
}
