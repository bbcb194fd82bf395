import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import { VmletError } from '../errors.ts';
import { errnoOf } from './storage-error.ts';
import { writeFileAtomic } from './write-file.ts';

const formatOnly = z.object({ format: z.int().positive() });

/**
 * Reads the small JSON file that says in which format a folder is.
 *
 * @returns undefined if there is none
 * @throws VmletError `FORMAT_NEWER` if a newer vmlet wrote it, `FORMAT_UNREADABLE` if it is damaged
 */
export async function readMarker<T extends z.ZodType>(
  path: string,
  options: { schema: T; known: number },
): Promise<z.output<T> | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw unreadable(path, error);
  }
  try {
    const value: unknown = JSON.parse(text);
    const found = formatOnly.parse(value).format;
    // Before the rest is read: a newer format may have other members.
    if (found > options.known)
      throw new VmletError('FORMAT_NEWER', { operands: { path, found, known: options.known } });
    return options.schema.parse(value);
  } catch (error) {
    if (error instanceof VmletError) throw error;
    throw unreadable(path, error);
  }
}

/** Writes a marker unless another process was first. Read it again afterwards to learn which one stands. */
export async function writeMarker(path: string, marker: { format: number }): Promise<void> {
  await writeFileAtomic(path, { bytes: Buffer.from(`${JSON.stringify(marker)}\n`), mode: 0o600, exclusive: true });
}

function unreadable(path: string, error: unknown): VmletError {
  const cause =
    error instanceof z.ZodError ? 'wrong members' : error instanceof SyntaxError ? 'not JSON' : errnoOf(error);
  return new VmletError('FORMAT_UNREADABLE', { operands: { path, cause: cause ?? String(error) }, cause: error });
}
