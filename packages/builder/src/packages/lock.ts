import { readFile } from 'node:fs/promises';
import { writeFileAtomic } from '@vmlet/host';
import { z } from 'zod';
import { RecipeError } from '../recipe.ts';

/** More than this is no list of the packages of one system. */
const MAX_LOCK_BYTES = 4 * 1024 * 1024;
const MAX_LOCKED_PACKAGES = 20_000;
/** No longer than a file's name may be, with what is put after it. */
const MAX_VERSION_LENGTH = 160;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 lowercase hex digits');
/** Debian's rules; they end up in names of files and in apt's own files. */
const packageName = z.string().regex(/^[a-z0-9][a-z0-9+.-]{1,127}$/, 'expected the name of a package');
const lockedPackageSchema = z.strictObject({
  name: packageName,
  version: z
    .string()
    .regex(/^[0-9A-Za-z][0-9A-Za-z.+~:-]*$/, 'expected a version')
    .max(MAX_VERSION_LENGTH),
  architecture: z.enum(['amd64', 'all']),
  sha256,
  sizeBytes: z.int().positive(),
  /** Below the mirror's address, as the mirror spells it. */
  path: z
    .string()
    .regex(/^[^/\s?#%][^\s?#]*$/, 'expected a path below a mirror')
    .refine((path) => !path.split('/').includes('..'), 'expected a path without ".."')
    .max(1024),
});

/** What of a recipe says which packages are wanted: when it changes, the lock is out of date. */
const requestSchema = z.strictObject({
  /** The published runtime that is extended, as the recipe names it. */
  extends: z.string().optional(),
  distribution: z.string(),
  suite: z.string(),
  components: z.array(z.string()),
  architecture: z.string(),
  variant: z.string(),
  packages: z.array(z.string()),
  /** Of the keyrings that the recipe brings, so that other keys are asked again. */
  keyrings: z.array(sha256),
  npm: z.array(z.string()),
});

export const lockSchema = z.strictObject({
  format: z.literal(1),
  request: requestSchema,
  /** Every file time above it becomes it, in seconds: when the newest of the lists was made that this came from. */
  epochSeconds: z.int().nonnegative(),
  /** file_hash of the published runtime that is extended. */
  base: sha256.optional(),
  packages: z.array(lockedPackageSchema).max(MAX_LOCKED_PACKAGES),
  npm: z.array(z.strictObject({ package: z.string(), version: z.string(), integrity: z.string() })),
});

/** Every package of a runtime, by version and hash. */
export type Lock = z.infer<typeof lockSchema>;
export type LockedPackage = z.infer<typeof lockedPackageSchema>;
export type LockRequest = z.infer<typeof requestSchema>;

/**
 * @returns undefined where there is no such file
 * @throws RecipeError when it is no lock file of this version
 */
export async function readLock(path: string): Promise<Lock | undefined> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return text === undefined ? undefined : parseLock(text, path);
}

/** Checks a lock file's text. `path` is only named in errors. */
export function parseLock(text: string, path: string): Lock {
  const refuse = (found: string) => new RecipeError(`${path}:1: ${found}; remove it to have it written anew`);
  if (text.length > MAX_LOCK_BYTES) throw refuse(`found ${text.length} bytes, expected at most ${MAX_LOCK_BYTES}`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw refuse('expected JSON');
  }
  const parsed = lockSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw refuse(`"${issue?.path.join('.')}": ${issue?.message}`);
}

/** One package a line, so that a change is seen at a glance. */
export function lockText(lock: Lock): string {
  const list = (entries: readonly object[]) =>
    entries.length === 0 ? '[]' : `[\n${entries.map((entry) => `    ${JSON.stringify(entry)}`).join(',\n')}\n  ]`;
  return `{
  "format": ${lock.format},
  "request": ${JSON.stringify(lock.request)},
  "epochSeconds": ${lock.epochSeconds},${lock.base === undefined ? '' : `\n  "base": "${lock.base}",`}
  "packages": ${list(lock.packages)},
  "npm": ${list(lock.npm)}
}
`;
}

/** Writes it whole or not at all. */
export async function writeLock(path: string, lock: Lock): Promise<void> {
  await writeFileAtomic(path, lockText(lock));
}

/** The members of a request in which a recipe and its lock differ, in words; none when they agree. */
export function differences(wanted: LockRequest, locked: LockRequest): { member: keyof LockRequest; what: string }[] {
  const found: { member: keyof LockRequest; what: string }[] = [];
  const names = [
    'extends',
    'distribution',
    'suite',
    'components',
    'architecture',
    'variant',
    'packages',
    'keyrings',
    'npm',
  ] as const;
  for (const member of names) {
    const [now, then] = [listOf(wanted[member]), listOf(locked[member])];
    const added = now.filter((value) => !then.includes(value));
    const removed = then.filter((value) => !now.includes(value));
    if (added.length + removed.length === 0) continue;
    const list = (values: string[]) => values.map((value) => `"${value}"`).join(', ') || 'nothing';
    found.push({ member, what: `expected ${list(removed)} as in the lock file, found ${list(added)}` });
  }
  return found;
}

function listOf(value: string | string[] | undefined): string[] {
  return value === undefined ? [] : [value].flat();
}
