import { VmletError } from '../errors.ts';
import { openDatabase } from '../store/index.ts';

/**
 * Writes a database as it is at this moment to a new file, whatever its node does meanwhile, and without making it wait.
 * @throws VmletError `FORMAT_NEWER`, `FORMAT_UNREADABLE`, `STORAGE_FULL`, `STORAGE_FAILED`
 */
export function copyDatabase(path: string, target: string): void {
  using database = openAsItIs(path);
  database.prepare('VACUUM INTO ?').run(target);
}

/**
 * The files that a copy names, each once.
 * @throws VmletError `FORMAT_NEWER`, `FORMAT_UNREADABLE` if it is not whole
 */
export function filesNamedIn(path: string): Set<string> {
  using database = openAsItIs(path);
  const [found] = database.prepare<[], { integrity_check: string }>('PRAGMA integrity_check').all();
  if (found?.integrity_check !== 'ok') {
    throw new VmletError('FORMAT_UNREADABLE', { operands: { path, cause: found?.integrity_check ?? 'damaged' } });
  }
  const rows = database.prepare<[], { file_hash: string }>('SELECT DISTINCT file_hash FROM stores').all();
  return new Set(rows.map(({ file_hash: fileHash }) => fileHash));
}

function openAsItIs(path: string) {
  const database = openDatabase(path, { asItIs: true });
  return Object.assign(database, { [Symbol.dispose]: () => void database.close() });
}
