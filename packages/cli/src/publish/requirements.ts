import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';

import { writeFileAtomic } from '@vmlet/host';
import type { OwnerClient } from '../client/owner.ts';
import { ProblemError } from '../client/problem.ts';
import { CliError } from '../errors.ts';
import type { Output } from '../output.ts';
import { readZipEntries } from '../pack/read-zip.ts';
import type { SourceFile, SourceFolder } from '../pack/walk.ts';
import { packFiles, type ZipEntry, zipEntries } from '../pack/zip.ts';
import type { ResolvedRuntime } from './runtime.ts';

const REQUIREMENTS = 'requirements.txt';
/** Where the launcher looks for packages that came with the code. */
const SITE_PACKAGES = '.vmlet/site-packages';
/** Raised when packages are installed differently: cached ones of an older version are not used. */
const INSTALL_VERSION = 1;
/** pip's ways to name a project by its folder: then all of the folder may be needed. */
const LOCAL_PROJECT = /^\s*(?:-e\b|--editable\b|\.|file:)|@\s*file:/m;
const OTHER_FILE = /^\s*(?:-r|--requirement|-c|--constraint)[\s=]+(\S+)/gm;
const ARCHIVE = /\.(?:whl|tar\.gz)$/;

export interface InstallOptions {
  path: string;
  runtime: ResolvedRuntime;
  /** Called only if something has to be installed. */
  owner: () => OwnerClient;
  cache: string;
  output: Output;
  signal: AbortSignal;
}

/**
 * Installs a folder's requirements inside its runtime, in a machine of the node: what is compiled fits what will run
 * it. The result is kept in the cache and used again while requirements and runtime are the same.
 * @returns the packages as members for the code's zip; undefined if the folder has no requirements
 * @throws CliError `INSTALL_FAILED` with what pip says, `ARCHIVE_UNREADABLE`
 */
export async function installRequirements(
  folder: SourceFolder,
  options: InstallOptions,
): Promise<ZipEntry[] | undefined> {
  const wanted = await filesToInstall(folder);
  if (wanted === undefined) return undefined;
  const { path, runtime, cache, output, signal } = options;
  const request = zipEntries(await packFiles(wanted, { folder: path, signal }), 'requirements.zip', { folder: path });
  const key = createHash('sha256')
    .update(JSON.stringify([INSTALL_VERSION, request.fileHash, runtime.fileHash ?? runtime.itemHash]))
    .digest('hex');
  const cachePath = join(cache, 'installs', `${key}.zip`);
  let packages: Buffer<ArrayBuffer> | undefined = await readFile(cachePath).catch(() => undefined);
  if (packages === undefined) {
    output.step('Installing requirements.txt', `inside ${runtime.name}`);
    packages = await install(await bytesOf(request.open()), options);
    await mkdir(dirname(cachePath), { recursive: true });
    await writeFileAtomic(cachePath, packages);
  }
  return readZipEntries(packages, { cachePath }).map((entry) => ({ ...entry, path: `${SITE_PACKAGES}/${entry.path}` }));
}

async function install(archive: Buffer, { owner, runtime, signal }: InstallOptions): Promise<Buffer<ArrayBuffer>> {
  try {
    return Buffer.from(await owner().install(runtime.itemHash, archive, { signal }));
  } catch (error) {
    if (!(error instanceof ProblemError) || error.problem.code !== 'INSTALL_FAILED') throw error;
    const { detail } = error.problem;
    const found = lastError(detail) ?? 'pip ended with an error';
    throw new CliError('INSTALL_FAILED', { operands: { found }, cause: error, ...(detail ? { detail } : {}) });
  }
}

/** Requirements with all that they refer to; undefined if there are none, or only comments. */
async function filesToInstall({ files }: SourceFolder): Promise<SourceFile[] | undefined> {
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

function lastError(output: string | undefined): string | undefined {
  const lines = output?.split('\n').filter((line) => /^ERROR:/i.test(line)) ?? [];
  return lines.at(-1)?.replace(/^ERROR:\s*/i, '');
}

async function bytesOf(stream: AsyncIterable<Uint8Array>): Promise<Buffer<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}
