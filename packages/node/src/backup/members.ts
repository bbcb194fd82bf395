import { opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../store/index.ts';
import { DATABASE_NAME, isKept } from './format.ts';

/**
 * The files of a home that belong into a backup, by their path in it; the database is none of them. What goes away
 * meanwhile is left out, what comes may be.
 */
export async function* membersOf(home: string): AsyncGenerator<string> {
  yield* walk(home, '', (path) => path !== DATABASE_NAME && isKept(path));
}

/** All files below a folder, by their path in it. */
export async function* filesBelow(folder: string): AsyncGenerator<string> {
  yield* walk(folder, '', () => true);
}

async function* walk(folder: string, below: string, isWanted: (path: string) => boolean): AsyncGenerator<string> {
  for (const entry of await entriesOf(join(folder, below))) {
    const path = below === '' ? entry.name : `${below}/${entry.name}`;
    if (!isWanted(path)) continue;
    if (entry.isDirectory()) yield* walk(folder, path, isWanted);
    else if (entry.isFile()) yield path;
  }
}

async function entriesOf(folder: string) {
  try {
    const entries = await Array.fromAsync(await opendir(folder));
    return entries.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
