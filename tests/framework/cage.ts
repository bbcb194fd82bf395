import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

const CGROUPS = '/sys/fs/cgroup';

/** Folders of cgroups, in any hierarchy, that have a text in their name. */
export async function cgroupsNaming(text: string): Promise<string[]> {
  const entries = await readdir(CGROUPS, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isDirectory() && entry.name.includes(text))
    .map((entry) => join(entry.parentPath, entry.name));
}
