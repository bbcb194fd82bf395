import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SourceFolder } from '../pack/walk.ts';
import { fileEntry, packFiles, type ZipEntry } from '../pack/zip.ts';
import { type InstallOptions, installInside } from '../publish/install.ts';
import { NPM_LOCKS } from './lock.ts';
import { npmSettings } from './npmrc.ts';

const NPMRC = '.npmrc';
/** What npm may need to see of a folder: packages of its own and archives that package.json names by their path. */
const SEEN = /(?:^|\/)package\.json$|\.tgz$/;
const HINT =
  'Correct package.json; what must be compiled needs a runtime with compilers; --no-install packs node_modules as it is';

/**
 * Installs the production dependencies of a folder with the npm of its runtime: `npm ci` where there is a lock file,
 * else `npm install`.
 * @returns members for the code's zip, all below node_modules folders
 * @throws CliError `INSTALL_FAILED` with what npm says, `ARCHIVE_UNREADABLE`
 */
export async function installModules(
  folder: Pick<SourceFolder, 'files'>,
  options: InstallOptions & { userConfig: string | undefined },
): Promise<ZipEntry[]> {
  const { path, signal, userConfig } = options;
  const wanted = folder.files.filter((file) => SEEN.test(file.path) || NPM_LOCKS.includes(file.path));
  const entries = await packFiles(wanted, { folder: path, signal });
  const files = [...(userConfig === undefined ? [] : [userConfig]), join(path, NPMRC)];
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8').catch(() => '')));
  const { settings, secrets } = npmSettings(texts.join('\n'));
  if (secrets.length > 0) options.output.note(`Not sent to the machine that installs: ${secrets.join(', ')} of .npmrc`);
  if (settings.length > 0) entries.push(fileEntry(NPMRC, Buffer.from(`${settings.join('\n')}\n`)));
  return await installInside(
    { installer: 'npm', file: 'package.json', entries, hint: HINT, reason: npmError },
    options,
  );
}

/** npm's own words: `npm error code ERESOLVE`, then lines that explain; of a failed compilation there are hundreds. */
export function npmError(output: string): string | undefined {
  const lines = output.split('\n').flatMap((line) => /^npm (?:error|ERR!) (.+)$/.exec(line)?.[1] ?? []);
  const path = lines.map((line) => /^path .*node_modules\/(.+)$/.exec(line)?.[1]).find((found) => found !== undefined);
  if (lines.some((line) => line.startsWith('gyp ERR!'))) {
    return `${path ?? 'a package'} has to be compiled, and that failed (the official runtime has no compiler)`;
  }
  const telling = lines.filter((line) => !/^(?:code|errno|syscall|path|A complete log|[A-Z]+$)\b/.test(line));
  return telling[0] ?? lines[0];
}
