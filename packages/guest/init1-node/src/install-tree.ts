/** What npm has installed below a folder, in an order that depends on the names alone. */
import { promises as files } from 'fs';
import { join } from 'path';
import type { ZipMember } from './install-zip.ts';

const REGULAR = 0o100644;
const EXECUTABLE = 0o100755;
const LINK = 0o120777;
/** npm's own notes; the host packs none either. */
const NOTES = '.package-lock.json';

/** Files and links below every node_modules folder. */
export async function* installedEntries(folder: string, path = '', isInstalled = false): AsyncGenerator<ZipMember> {
  const entries = await files.readdir(join(folder, path), { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const below = path === '' ? entry.name : `${path}/${entry.name}`;
    if (entry.isDirectory()) yield* installedEntries(folder, below, isInstalled || entry.name === 'node_modules');
    else if (isInstalled && entry.name !== NOTES) yield await memberOf(folder, below, entry.isSymbolicLink());
  }
}

async function memberOf(folder: string, path: string, isLink: boolean): Promise<ZipMember> {
  const whole = join(folder, path);
  if (isLink) return { path, mode: LINK, bytes: Buffer.from(await files.readlink(whole)) };
  const { mode } = await files.stat(whole);
  return { path, mode: (mode & 0o100) === 0 ? REGULAR : EXECUTABLE, bytes: await files.readFile(whole) };
}
