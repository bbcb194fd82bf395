import { readdir, readFile, rmdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Where this process is in a hierarchy, as a folder. */
export interface Place {
  /** Empty for v2. */
  controllers: string[];
  folder: string;
}

interface Mount {
  root: string;
  point: string;
  type: string;
  controllers: string[];
}

/**
 * The folders of this process's own cgroups, one for each hierarchy that is mounted.
 * @param proc the folder of a process below /proc
 */
export async function ownPlaces(proc = '/proc/self'): Promise<Place[]> {
  const [cgroups, mountinfo] = await Promise.all([
    readFile(join(proc, 'cgroup'), 'utf8'),
    readFile(join(proc, 'mountinfo'), 'utf8'),
  ]);
  const mounts = mountinfo.split('\n').flatMap(parseMount);
  return cgroups.split('\n').flatMap((line) => {
    // "4:memory:/some/where", and "0::/some/where" for v2.
    const [, id = '', names = '', path = ''] = /^(\d+):([^:]*):(.*)$/.exec(line) ?? [];
    if (id === '') return [];
    const controllers = names === '' ? [] : names.split(',');
    const mount = mounts.find(({ type, controllers: mounted }) =>
      id === '0' && names === '' ? type === 'cgroup2' : controllers.every((name) => mounted.includes(name)),
    );
    // In a container the mount shows a part of the tree, and paths begin at the tree's own root.
    if (!mount || !path.startsWith(mount.root)) return [];
    const inside = mount.root === '/' ? path : path.slice(mount.root.length);
    return [{ controllers, folder: join(mount.point, inside) }];
  });
}

/** "36 25 0:31 /root /point rw - cgroup cgroup rw,memory" */
function parseMount(line: string): Mount[] {
  const [left = '', right = ''] = line.split(' - ');
  const [, , , root = '', point = ''] = left.split(' ');
  const [type = '', , options = ''] = right.split(' ');
  return type === 'cgroup' || type === 'cgroup2' ? [{ root, point, type, controllers: options.split(',') }] : [];
}

/** Removes a cgroup and those below it. False while a process is in one of them, or one that has just ended. */
export async function removeTree(folder: string): Promise<boolean> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    for (const entry of entries) if (entry.isDirectory()) await removeTree(join(folder, entry.name));
    await rmdir(folder);
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') return true;
    if (code === 'EBUSY') return false;
    throw error;
  }
}
