import * as z from 'zod';
import { canonicalCid } from '../content/index.ts';

/** The newest form of a backup that this vmlet knows. */
export const BACKUP_FORMAT = 1;

/** What is last in a backup, and says that it is whole. */
export const MANIFEST_NAME = 'backup.json';
/** The copy of the node's database. */
export const DATABASE_NAME = 'node.db';
/** Longer ones are none of ours. In bytes. */
export const MAX_MANIFEST_BYTES = 64 * 1024 * 1024;

const hashSchema = z.string().regex(/^[0-9a-f]{64}$/);

/**
 * `backup.json`. Files that are named by their own SHA-256 are counted, all others listed. `missing` names files that
 * messages name and that the home had not.
 */
export const backupSchema = z.object({
  format: z.literal(BACKUP_FORMAT),
  kind: z.literal('vmlet/backup'),
  /** Of the vmlet that made it. */
  version: z.string(),
  /** In ISO 8601. */
  made: z.string(),
  hashed: z.object({ files: z.int().nonnegative(), sizeBytes: z.int().nonnegative() }),
  listed: z.array(z.object({ path: z.string(), sizeBytes: z.int().nonnegative(), sha256: hashSchema })),
  missing: z.array(z.string()),
});

export type BackupManifest = z.output<typeof backupSchema>;

const HASHED = /^content\/([0-9a-f]{2})\/(\1[0-9a-f]{62})$/;
const SEGMENT = /^(?!\.{1,2}$)[\w.@+-]{1,255}$/;
const MAX_DEPTH = 12;

/** The SHA-256 that a path in a backup is named by; undefined for one that is named otherwise. */
export function hashInPath(path: string): string | undefined {
  return HASHED.exec(path)?.[2];
}

/** Where a file that messages name lies: bytes by their SHA-256, or the record that says which bytes a CID names. */
export function pathOfNamed(name: string): string {
  const cid = canonicalCid(name);
  return cid === undefined ? `content/${name.slice(0, 2)}/${name}` : `content/cids/${cid.slice(-2)}/${cid}`;
}

/** Whether a path of a backup stays inside of it, and is one that a home can have. */
export function isSafePath(path: string): boolean {
  const segments = path.split('/');
  return segments.length <= MAX_DEPTH && segments.every((segment) => SEGMENT.test(segment)) && isKept(path);
}

/** What a home makes anew, what belongs to the process that runs in it, and what was never finished. */
const RENEWED =
  /^(home\.json|lock\.db.*|node\.db-.*|program-cache\.db.*|node\.json|code|snapshots|content\/(incoming|quarantine))$/;

/** Whether a file or folder of a home belongs into a backup; the database goes there as a copy of its own. */
export function isKept(path: string): boolean {
  const segments = path.split('/');
  const isRenewed = segments.some((_, index) => RENEWED.test(segments.slice(0, index + 1).join('/')));
  return !isRenewed && !/\.(part|sock)$/.test(path);
}
