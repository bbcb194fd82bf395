import { open, realpath, stat } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { type Fault, faultAt, RecipeError } from './fault.ts';
import { type MemberPath, nodeAt, placeOf, type RecipeNode, type Source } from './node.ts';

/** A recipe is a page or two; what it brings stands in files beside it. */
const MAX_RECIPE_BYTES = 1024 * 1024;

/**
 * Reads a recipe's file.
 * @throws RecipeError when it is no file, too large, or not UTF-8
 */
export async function readSource(path: string): Promise<Source> {
  const bytes = await readBytes(path).catch((cause: unknown) => {
    throw cause instanceof RecipeError ? cause : new RecipeError(`${path}:1: ${messageOf(cause)}`, { cause });
  });
  try {
    return { path, text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch (cause) {
    const line = lineOfBadByte(bytes);
    throw new RecipeError(`${path}:${line}: expected text in UTF-8, found other bytes`, { cause });
  }
}

async function readBytes(path: string): Promise<Buffer> {
  await using file = await open(path, 'r');
  const found = await file.stat();
  if (!found.isFile()) throw new RecipeError(`${path}:1: expected a file, found something else`);
  const wanted = `expected at most ${MAX_RECIPE_BYTES} bytes: put long files beside it, as "source" of "files"`;
  if (found.size > MAX_RECIPE_BYTES) throw new RecipeError(`${path}:1: found ${found.size} bytes, ${wanted}`);
  const bytes = Buffer.alloc(MAX_RECIPE_BYTES);
  const { bytesRead } = await file.read(bytes, 0, MAX_RECIPE_BYTES, 0);
  return bytes.subarray(0, bytesRead);
}

/** The line of the first byte that is no text, by what stands before it. */
function lineOfBadByte(bytes: Buffer): number {
  let line = 1;
  for (let start = 0; start < bytes.length; line++) {
    const newline = bytes.indexOf(0x0a, start);
    const end = newline === -1 ? bytes.length : newline + 1;
    if (!isUtf8(bytes.subarray(start, end))) return line;
    start = end;
  }
  return line;
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

/** The file that a member names beside the recipe that it was written in. */
export function pathBeside(root: RecipeNode, path: MemberPath): string {
  const node = nodeAt(root, path);
  const name = node?.kind === 'scalar' ? String(node.value) : '';
  return join(dirname(placeOf(root, path).source.path), name);
}

/** Faults of files that are to be beside a recipe: not there, or by a link of a stranger's elsewhere on this machine. */
export async function faultsOfFiles(root: RecipeNode, members: readonly MemberPath[]): Promise<Fault[]> {
  const faults = members.map(async (path): Promise<Fault[]> => {
    const file = pathBeside(root, path);
    const folder = await realpath(dirname(placeOf(root, path).source.path));
    try {
      const real = await realpath(file);
      if (!real.startsWith(folder === sep ? sep : folder + sep))
        return [faultAt(root, path, `expected a file in the folder of the recipe, found a link to "${real}"`)];
      const found = await stat(real);
      return found.isFile() ? [] : [faultAt(root, path, 'expected a file, found something else')];
    } catch (cause) {
      return [faultAt(root, path, `expected a file beside the recipe: ${messageOf(cause)}`)];
    }
  });
  return (await Promise.all(faults)).flat();
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
