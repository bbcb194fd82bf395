import { readFile } from 'node:fs/promises';
import { posix } from 'node:path';
import type { SourceFile, SourceFolder } from '../pack/walk.ts';
import { packFiles, type ZipEntry } from '../pack/zip.ts';
import { type InstallOptions, installInside } from './install.ts';

const REQUIREMENTS = 'requirements.txt';
/** Where the launcher looks for packages that came with the code. */
export const SITE_PACKAGES = '.vmlet/site-packages';
/** pip's ways to name a project by its folder: then all of the folder may be needed. */
const LOCAL_PROJECT = /^\s*(?:-e\b|--editable\b|\.|file:)|@\s*file:/m;
const OTHER_FILE = /^\s*(?:-r|--requirement|-c|--constraint)[\s=]+(\S+)/gm;
const ARCHIVE = /\.(?:whl|tar\.gz)$/;
const HINT = 'Correct requirements.txt; a machine without internet needs the wheels in the folder';

/**
 * Installs a folder's requirements inside its runtime.
 * @returns the packages as members for the code's zip; undefined if the folder has no requirements
 * @throws CliError `INSTALL_FAILED` with what pip says, `ARCHIVE_UNREADABLE`
 */
export async function installRequirements(
  folder: Pick<SourceFolder, 'files'>,
  options: InstallOptions,
): Promise<ZipEntry[] | undefined> {
  const wanted = await filesToInstall(folder);
  if (wanted === undefined) return undefined;
  const { path, signal } = options;
  const entries = await packFiles(wanted, { folder: path, signal });
  const installed = await installInside(
    { installer: 'pip', file: REQUIREMENTS, entries, hint: HINT, reason: lastError },
    options,
  );
  return installed.map((entry) => ({ ...entry, path: `${SITE_PACKAGES}/${entry.path}` }));
}

/** Requirements with all that they refer to; undefined if there are none, or only comments. */
async function filesToInstall({ files }: Pick<SourceFolder, 'files'>): Promise<SourceFile[] | undefined> {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const found = new Map<string, SourceFile>();
  const queue = [REQUIREMENTS];
  let hasLine = false;
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    const file = byPath.get(path);
    if (file === undefined || found.has(path)) continue;
    found.set(path, file);
    const text = await readFile(file.absolutePath, 'utf8');
    if (LOCAL_PROJECT.test(text)) return [...files];
    hasLine ||= text.split('\n').some((line) => /^\s*[^#\s-]/.test(line));
    for (const [, other = ''] of text.matchAll(OTHER_FILE)) queue.push(posix.join(posix.dirname(path), other));
  }
  if (!hasLine) return undefined;
  // In the folder's order, which is fixed: the archive's hash is the key of the cache.
  return files.filter((file) => found.has(file.path) || ARCHIVE.test(file.path));
}

function lastError(output: string): string | undefined {
  const lines = output.split('\n').filter((line) => /^ERROR:/i.test(line));
  return lines.at(-1)?.replace(/^ERROR:\s*/i, '');
}
