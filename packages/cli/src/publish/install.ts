import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { writeFileAtomic } from '@vmlet/host';
import type { Installer, OwnerClient } from '../client/owner.ts';
import { ProblemError } from '../client/problem.ts';
import { CliError } from '../errors.ts';
import type { Output } from '../output.ts';
import { PACK_LIMITS } from '../pack/limits.ts';
import { readZipEntries } from '../pack/read-zip.ts';
import { compressed, type ZipEntry, zipEntries } from '../pack/zip.ts';
import type { ResolvedRuntime } from './runtime.ts';

/** Raised when packages are installed differently: cached ones of an older version are not used. */
const INSTALL_VERSION = 2;

/** What is too large to be uploaded is told when the whole code is packed. */
const KEPT_LIMITS = { ...PACK_LIMITS, maxPackedBytes: PACK_LIMITS.maxUnpackedBytes };

/** What is to be installed, and by what. */
export interface InstallRequest {
  installer: Installer;
  /** What names the packages, for people. */
  file: 'requirements.txt' | 'package.json';
  /** All that the installer gets to see. */
  entries: readonly ZipEntry[];
  /** What to do where it fails. */
  hint: string;
  /** The line of the installer's output that says why it failed. */
  reason: (output: string) => string | undefined;
}

export interface InstallOptions {
  /** The program's folder, for errors. */
  path: string;
  runtime: ResolvedRuntime;
  /** Called only if something has to be installed. */
  owner: (request: InstallRequest) => OwnerClient;
  cache: string;
  output: Output;
  signal: AbortSignal;
}

/**
 * Installs packages inside a runtime, in a machine of the node: what is compiled fits what will run it, and nothing of
 * any package runs on this host. The result is kept in the cache and used again while request and runtime are the same.
 * @throws CliError `INSTALL_FAILED` with what the installer says, `ARCHIVE_UNREADABLE`
 */
export async function installInside(request: InstallRequest, options: InstallOptions): Promise<ZipEntry[]> {
  const { path, runtime, cache, output } = options;
  const archive = zipEntries(request.entries, 'install.zip', { folder: path });
  const key = createHash('sha256')
    .update(
      JSON.stringify([INSTALL_VERSION, request.installer, archive.fileHash, runtime.fileHash ?? runtime.itemHash]),
    )
    .digest('hex');
  const cachePath = join(cache, 'installs', `${key}.zip`);
  const kept: Buffer<ArrayBuffer> | undefined = await readFile(cachePath).catch(() => undefined);
  if (kept !== undefined) return readZipEntries(kept, { cachePath });
  output.step(`Installing ${request.file}`, `inside ${runtime.name}`);
  const made = readZipEntries(await install(await bytesOf(archive.open()), request, options), { cachePath });
  // A machine sends some as they are: compressing costs it more than it costs here.
  const entries = made.map(compressed);
  await mkdir(dirname(cachePath), { recursive: true });
  await writeFileAtomic(
    cachePath,
    await bytesOf(zipEntries(entries, 'installed.zip', { folder: path, limits: KEPT_LIMITS }).open()),
  );
  return entries;
}

async function install(
  archive: Buffer,
  request: InstallRequest,
  { owner, runtime, signal }: InstallOptions,
): Promise<Buffer<ArrayBuffer>> {
  const { installer, file, hint, reason } = request;
  try {
    return Buffer.from(await owner(request).install({ runtime: runtime.itemHash, installer, archive }, { signal }));
  } catch (error) {
    if (!(error instanceof ProblemError) || error.problem.code !== 'INSTALL_FAILED') throw error;
    const { detail } = error.problem;
    const found = reason(detail ?? '') ?? `${installer} ended with an error`;
    const operands = { file, installer, found, next: hint };
    throw new CliError('INSTALL_FAILED', { operands, cause: error, ...(detail ? { detail } : {}) });
  }
}

async function bytesOf(stream: AsyncIterable<Uint8Array>): Promise<Buffer<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}
