import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { TEMPORARY_PREFIX } from './files.ts';

/** `.tmp-<process id>-<name>-<random>`, a file or a folder */
const UNFINISHED = new RegExp(`^\\${TEMPORARY_PREFIX}(\\d+)-`);

/** A folder to build in. Disposing of it removes it with all that is in it. */
export interface WorkFolder extends AsyncDisposable {
  readonly path: string;
}

/** How something unfinished is removed, where its owner may not be allowed to do it himself. */
export interface RemoveOptions {
  remove?: (path: string) => Promise<void>;
}

/**
 * Makes an empty folder beside what is to be built, so that the result can be renamed into place. Those of processes
 * that were killed are removed first.
 * @param parent is made if it is missing
 */
export async function makeWorkFolder(parent: string, name: string, options: RemoveOptions = {}): Promise<WorkFolder> {
  await mkdir(parent, { recursive: true });
  await sweepAbandoned(parent, options);
  const path = await mkdtemp(join(parent, `${TEMPORARY_PREFIX}${process.pid}-${name}-`));
  return { path, [Symbol.asyncDispose]: () => (options.remove ?? removeAll)(path) };
}

/** Removes what processes that were killed have left unfinished in a folder; one that is not there holds nothing. */
export async function sweepAbandoned(folder: string, options: RemoveOptions = {}): Promise<void> {
  for (const entry of await entriesOf(folder)) {
    const pid = UNFINISHED.exec(entry)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) await (options.remove ?? removeAll)(join(folder, entry));
  }
}

function removeAll(path: string): Promise<void> {
  return rm(path, { recursive: true, force: true });
}

async function entriesOf(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** A process of somebody else is alive too: only "no such process" says otherwise. */
function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
