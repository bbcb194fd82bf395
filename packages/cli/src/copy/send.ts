import { type FileHandle, lstat, open, opendir, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { COPY, encodeRecord, SESSION_LIMITS } from '@vmlet/guest-protocol/session';
import { CliError } from '../errors.ts';
import { type Copied, encodeEntry } from './entries.ts';
import { failureOfSystem } from './failures.ts';

/**
 * The records of a file or folder of this host, and the last one. A link that is named itself is followed; those within
 * go as links. What is neither file, folder nor link is left out.
 * @param copied counts what was sent
 * @throws CliError `COPY_FAILED`
 */
export async function* sendRecords(source: string, copied: Copied): AsyncGenerator<Buffer> {
  const found = await failureOfSystem(source, () => stat(source));
  if (found.isDirectory()) yield* sendFolder('', { source, copied });
  else if (found.isFile()) yield* sendFile('', { source, copied });
  else throw new CliError('COPY_FAILED', { operands: { path: source, found: 'neither a file nor a folder' } });
  yield encodeRecord(COPY.DONE);
}

interface Sending {
  source: string;
  copied: Copied;
}

async function* sendFolder(path: string, sending: Sending): AsyncGenerator<Buffer> {
  const at = join(sending.source, path);
  const { mode } = await failureOfSystem(at, () => stat(at));
  yield encodeEntry({ type: 'folder', path, mode, target: '' });
  sending.copied.folders += 1;
  for await (const { name } of await failureOfSystem(at, () => opendir(at))) {
    yield* sendName(path === '' ? name : `${path}/${name}`, sending);
  }
}

async function* sendName(path: string, sending: Sending): AsyncGenerator<Buffer> {
  const at = join(sending.source, path);
  const found = await failureOfSystem(at, () => lstat(at));
  if (found.isDirectory()) yield* sendFolder(path, sending);
  else if (found.isFile()) yield* sendFile(path, sending);
  else if (found.isSymbolicLink()) {
    const target = await failureOfSystem(at, () => readlink(at));
    yield encodeEntry({ type: 'link', path, mode: 0, target });
    sending.copied.links += 1;
  }
}

async function* sendFile(path: string, sending: Sending): AsyncGenerator<Buffer> {
  const at = path === '' ? sending.source : join(sending.source, path);
  await using file: FileHandle = await failureOfSystem(at, () => open(at, 'r'));
  const { mode } = await file.stat();
  yield encodeEntry({ type: 'file', path, mode, target: '' });
  sending.copied.files += 1;
  const bytes = Buffer.alloc(SESSION_LIMITS.recordBytes);
  for (;;) {
    const { bytesRead } = await failureOfSystem(at, () => file.read(bytes, 0, bytes.length));
    if (bytesRead === 0) return;
    sending.copied.bytes += bytesRead;
    yield encodeRecord(COPY.DATA, bytes.subarray(0, bytesRead));
  }
}
