import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { createEvmSigner, generateKey, type Signer } from '@vmlet/messages/sign';
import { VmletError } from '../errors.ts';
import { errnoOf, makePrivateDir, writeFileAtomic } from '../store/index.ts';

/** An owner's key, ready to sign. The secret itself is not shown. */
export interface OwnerKey {
  readonly signer: Signer;
  /** Where the secret is kept. */
  readonly path: string;
  /** True if it was made by this call. */
  readonly created: boolean;
}

const SECRET_HEX = /^(?:0x)?([0-9a-fA-F]{64})\s*$/;
const OTHERS = 0o077;
/** A key file has 64 digits; anything much longer is not read into memory. */
const MAX_FILE_BYTES = 1024;

/**
 * Reads the owner's key at `<configDir>/keys/default.key`, making one on first use. Two processes that are first at
 * the same time end up with the same key.
 *
 * @throws VmletError `KEY_EXPOSED` if others may read the file, `KEY_UNREADABLE` if it holds no key, `STORAGE_FULL`,
 *   `STORAGE_FAILED`
 */
export async function loadOrCreateKey(configDir: string): Promise<OwnerKey> {
  const dir = join(configDir, 'keys');
  const path = join(dir, 'default.key');
  await makePrivateDir(dir);
  const found = await readKey(path);
  if (found !== undefined) return { signer: found, path, created: false };
  const bytes = Buffer.from(`${Buffer.from(generateKey()).toString('hex')}\n`);
  const created = await writeFileAtomic(path, { bytes, mode: 0o600, exclusive: true });
  const signer = await readKey(path);
  if (signer === undefined) throw unreadable(path, 'it was removed as it was made');
  return { signer, path, created };
}

async function readKey(path: string): Promise<Signer | undefined> {
  let text: string;
  try {
    text = await readPrivate(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    if (error instanceof VmletError) throw error;
    throw unreadable(path, errnoOf(error) ?? String(error));
  }
  const digits = SECRET_HEX.exec(text)?.[1];
  if (digits === undefined) throw unreadable(path, 'other content');
  try {
    return createEvmSigner(Buffer.from(digits, 'hex'));
  } catch {
    // Its text could quote the secret.
    throw unreadable(path, 'a number out of range');
  }
}

async function readPrivate(path: string): Promise<string> {
  await using handle = await open(path, 'r');
  // Of the open file, not of the path: nobody can swap it in between.
  const { mode, size } = await handle.stat();
  if ((mode & OTHERS) !== 0) {
    const found = (mode & 0o7777).toString(8).padStart(4, '0');
    throw new VmletError('KEY_EXPOSED', { operands: { path, found } });
  }
  if (size > MAX_FILE_BYTES) throw unreadable(path, `${size} bytes`);
  return await handle.readFile('utf8');
}

function unreadable(path: string, cause: string): VmletError {
  return new VmletError('KEY_UNREADABLE', { operands: { path, cause } });
}
