import { createReadStream, createWriteStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { extract, pack } from 'tar-stream';
import { VmletError } from '../errors.ts';
import { MANIFEST_NAME } from './format.ts';
import { filesBelow } from './members.ts';
import type { Stage } from './stage.ts';

/** What is being written has this name in the stage, and is no member of itself. */
const ARCHIVE_NAME = 'archive.tar';

/** A file of a backup, as it comes. Its bytes must be read, or the next one never comes. */
export interface Member {
  readonly path: string;
  readonly bytes: AsyncIterable<Uint8Array>;
}

/** Writes the files of a stage as one tar, the manifest last. @returns its path */
export async function writeArchive(stage: Stage, { signal }: { signal?: AbortSignal | undefined }): Promise<string> {
  const path = join(stage.dir, ARCHIVE_NAME);
  const tar = pack();
  const written = pipeline(tar, createWriteStream(path, { mode: 0o600, flags: 'wx' }), signal ? { signal } : {});
  const feed = async () => {
    const names = (await Array.fromAsync(filesBelow(stage.dir))).filter((name) => name !== ARCHIVE_NAME);
    for (const name of [...names.filter((one) => one !== MANIFEST_NAME), MANIFEST_NAME]) {
      const from = join(stage.dir, name);
      const { size, mode } = await stat(from);
      await pipeline(createReadStream(from), tar.entry({ name, size, mode: mode & 0o777 }));
    }
    tar.finalize();
  };
  const fed = feed().catch((error: unknown) => {
    tar.destroy(error instanceof Error ? error : new Error(String(error)));
    throw error;
  });
  await Promise.all([written, fed]);
  await using file = await open(path, 'r+');
  await file.sync();
  return path;
}

/**
 * The files of a tar, in its order. Folders are passed over; anything else but a file is refused.
 * @throws VmletError `BACKUP_SOURCE_UNFIT`
 */
export async function* readArchive(path: string): AsyncGenerator<Member> {
  const unfit = (found: string, cause?: unknown) =>
    new VmletError('BACKUP_SOURCE_UNFIT', {
      operands: { path, found, expected: 'a backup that vmlet made' },
      ...(cause === undefined ? {} : { cause }),
    });
  const entries = extract();
  const source = createReadStream(path);
  // The reader of the entries hears of it.
  pipeline(source, entries).catch((error: Error) => entries.destroy(error));
  try {
    for await (const entry of entries) {
      const { name, type } = entry.header;
      if (type === 'directory') entry.resume();
      else if (type === 'file') yield { path: name, bytes: whole(entry as AsyncIterable<Buffer>, unfit) };
      else throw unfit(`"${name.slice(0, 100)}" is of the type "${String(type).slice(0, 20)}"`);
    }
  } catch (error) {
    if (error instanceof VmletError) throw error;
    throw unfit(error instanceof Error ? error.message : String(error), error);
  } finally {
    source.destroy();
    entries.destroy();
  }
}

/** The bytes of an entry; one that is cut short ends in an error of ours. */
async function* whole(bytes: AsyncIterable<Buffer>, unfit: (found: string, cause: unknown) => VmletError) {
  try {
    yield* bytes;
  } catch (error) {
    throw unfit('it is cut short', error);
  }
}
