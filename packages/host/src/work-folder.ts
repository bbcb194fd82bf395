import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { TEMPORARY_PREFIX } from './files.ts';

/** `.tmp-<process id>-<name>-<random>` */
const WORK_FOLDER = new RegExp(`^\\${TEMPORARY_PREFIX}(\\d+)-`);

/** A folder to build in. Disposing of it removes it with all that is in it. */
export interface WorkFolder extends AsyncDisposable {
  readonly path: string;
}

/**
 * Makes an empty folder beside what is to be built, so that the result can be renamed into place. Those of processes
 * that were killed are removed first.
 * @param parent is made if it is missing
 */
export async function makeWorkFolder(parent: string, name: string): Promise<WorkFolder> {
  await mkdir(parent, { recursive: true });
  for (const entry of await readdir(parent)) {
    const pid = WORK_FOLDER.exec(entry)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) await rm(join(parent, entry), { recursive: true, force: true });
  }
  const path = await mkdtemp(join(parent, `${TEMPORARY_PREFIX}${process.pid}-${name}-`));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** A process of somebody else is alive too: only "no such process" says otherwise. */
function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
