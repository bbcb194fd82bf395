import { randomBytes } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import * as z from 'zod';
import { VmletError } from '../errors.ts';
import { takeLock } from './lock.ts';
import { readMarker, writeMarker } from './marker.ts';
import { makePrivateDir } from './private-dir.ts';
import { errnoOf, storageError } from './storage-error.ts';
import { TEMPORARY_SUFFIX } from './write-file.ts';

/** The newest layout of a home that this vmlet knows. */
export const HOME_FORMAT = 1;

const MARKER = 'home.json';
const LOCK = 'lock.db';

const homeSchema = z.object({ format: z.literal(HOME_FORMAT), id: z.string().regex(/^[0-9a-f]{8}$/) });

/** Where things are in a home. Folders other than the home itself are made by the part that uses them. */
export interface HomePaths {
  /** The SQLite database of the node. */
  readonly database: string;
  /** Files by hash. */
  readonly content: string;
  /** Code images. */
  readonly code: string;
  /** Memory and state of machines, by all that they depend on; they can be made again. */
  readonly snapshots: string;
  /** Logs by item_hash. */
  readonly logs: string;
  /** Keys of programs, by item_hash; 0600 in a folder of 0700. */
  readonly programKeys: string;
  /** What programs keep for a while. */
  readonly programCache: string;
  /** The socket of the owner's commands, 0600. */
  readonly ownerSocket: string;
  /** Processor time that owners have used. */
  readonly usage: string;
  /** Addresses and hashes that the node has nothing to do with. */
  readonly blockList: string;
  /** What a running node says of itself. */
  readonly nodeFile: string;
}

/** An open home. It stays locked until it is disposed of, or the process dies. */
export interface Home extends Disposable {
  readonly dir: string;
  /** 8 hex digits, drawn once; names this home's processes and network slots. */
  readonly id: string;
  readonly paths: HomePaths;
}

/**
 * Opens the home of a node, making it if the folder is empty or absent, and locks it.
 *
 * @throws VmletError `HOME_FOREIGN`, `HOME_LOCKED`, `FORMAT_NEWER`, `FORMAT_UNREADABLE`, `STORAGE_FULL`,
 *   `STORAGE_FAILED`
 */
export async function openHome(path: string): Promise<Home> {
  const dir = resolve(path);
  await refuseForeign(dir);
  await makePrivateDir(dir);
  using stack = new DisposableStack();
  stack.use(takeLock(join(dir, LOCK), { dir }));
  await sweepTemporary(dir);
  const { id } = await readOrCreate(join(dir, MARKER));
  const held = stack.move();
  return { dir, id, paths: pathsOf(dir), [Symbol.dispose]: () => held.dispose() };
}

/** Makes a folder that was filled otherwise a home, of an id of its own: two homes of one id would end each other's machines. */
export async function seedHome(dir: string): Promise<void> {
  await readOrCreate(join(dir, MARKER));
}

/** Where things are in the home at `dir`, without opening it: for the CLI, which only talks to the node. */
export function pathsOf(dir: string): HomePaths {
  return {
    database: join(dir, 'node.db'),
    content: join(dir, 'content'),
    code: join(dir, 'code'),
    snapshots: join(dir, 'snapshots'),
    logs: join(dir, 'logs'),
    programKeys: join(dir, 'keys'),
    programCache: join(dir, 'program-cache.db'),
    usage: join(dir, 'usage.json'),
    blockList: join(dir, 'block-list'),
    ownerSocket: join(dir, 'owner.sock'),
    nodeFile: join(dir, 'node.json'),
  };
}

/** Guards against `--home ~`: what a vmlet killed on its very first start leaves is not foreign. */
async function refuseForeign(dir: string): Promise<void> {
  const names = await readdir(dir).catch((error: unknown): string[] => {
    if (errnoOf(error) === 'ENOENT') return [];
    throw storageError(error, dir);
  });
  if (names.includes(MARKER)) return;
  const foreign = names.some((name) => !name.startsWith(LOCK) && !name.endsWith(TEMPORARY_SUFFIX));
  if (foreign) throw new VmletError('HOME_FOREIGN', { operands: { dir } });
}

/** Under the lock nobody else writes here: what is unfinished was left by a process that was killed. */
async function sweepTemporary(dir: string): Promise<void> {
  const names = await readdir(dir);
  await Promise.all(
    names.filter((name) => name.endsWith(TEMPORARY_SUFFIX)).map((name) => rm(join(dir, name), { force: true })),
  );
}

async function readOrCreate(path: string): Promise<z.output<typeof homeSchema>> {
  const options = { schema: homeSchema, known: HOME_FORMAT };
  const found = await readMarker(path, options);
  if (found !== undefined) return found;
  const marker = { format: HOME_FORMAT, id: randomBytes(4).toString('hex') };
  await writeMarker(path, marker);
  return homeSchema.parse(marker);
}
