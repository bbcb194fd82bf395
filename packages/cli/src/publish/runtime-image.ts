import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readFile, stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { type Manifest, manifestSchema } from '@vmlet/builder';
import { CliError } from '../errors.ts';

/** Where each filesystem that a machine mounts has the mark of its superblock. */
const FILESYSTEMS = [
  { name: 'erofs', offset: 1024, magic: Buffer.from('e2e1f5e0', 'hex') },
  { name: 'squashfs', offset: 0, magic: Buffer.from('hsqs') },
  { name: 'ext4', offset: 1080, magic: Buffer.from('53ef', 'hex') },
] as const;
const SUPERBLOCK_BYTES = 2048;
const MAX_MANIFEST_BYTES = 65_536;
/** What an author has to say; the rest is seen in the image. */
const DEFAULTS = { version: '1', description: '', os: '', interpreters: {}, init: 'kit' };

/**
 * The whole manifest of an image, of what its author says and of what is seen in it.
 * @param said JSON with `name`, and what else is not as by default; or its path
 * @throws CliError `RUNTIME_UNREADABLE`
 */
export async function describeImage(imagePath: string, said: string | object, signal: AbortSignal): Promise<Manifest> {
  const told = typeof said === 'string' ? await readManifest(said) : said;
  const { filesystem, sizeBytes } = await inspectImage(imagePath);
  const seen = { format: 1, kind: 'vmlet/runtime', filesystem, sizeBytes, fileHash: await hashOf(imagePath, signal) };
  const parsed = manifestSchema.safeParse({ ...DEFAULTS, ...told, ...seen });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const found = `"${issue?.path.join('.')}": ${issue?.message}`;
  throw unreadable(typeof said === 'string' ? said : imagePath, found, 'the members of a manifest');
}

/** The manifest as its author wrote it. @throws CliError `RUNTIME_UNREADABLE` */
export async function readManifest(path: string): Promise<object> {
  const text = await textOf(path);
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch (cause) {
    throw unreadable(path, cause instanceof Error ? cause.message : String(cause), 'JSON');
  }
  throw unreadable(path, 'another value', 'a JSON object');
}

async function textOf(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size <= MAX_MANIFEST_BYTES) return await readFile(path, 'utf8');
  } catch (cause) {
    throw unreadable(path, cause instanceof Error ? cause.message : String(cause), 'a manifest');
  }
  throw unreadable(path, `more than ${MAX_MANIFEST_BYTES} bytes`, 'a manifest');
}

async function inspectImage(path: string): Promise<{ filesystem: string; sizeBytes: number }> {
  try {
    await using file = await open(path);
    const { size } = await file.stat();
    const { buffer } = await file.read(Buffer.alloc(SUPERBLOCK_BYTES), 0, SUPERBLOCK_BYTES, 0);
    const found = FILESYSTEMS.find(({ offset, magic }) => buffer.subarray(offset, offset + magic.length).equals(magic));
    if (found !== undefined) return { filesystem: found.name, sizeBytes: size };
  } catch (cause) {
    throw unreadable(path, cause instanceof Error ? cause.message : String(cause), 'an image');
  }
  throw unreadable(path, 'no known filesystem', 'erofs, squashfs or ext4');
}

async function hashOf(path: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash, { signal });
  return hash.digest('hex');
}

function unreadable(path: string, found: string, expected: string): CliError {
  return new CliError('RUNTIME_UNREADABLE', { operands: { path, found, expected } });
}
