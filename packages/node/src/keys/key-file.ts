import { open } from 'node:fs/promises';
import { createEvmSigner, generateKey, type Signer } from '@vmlet/messages/sign';
import { VmletError } from '../errors.ts';
import { errnoOf, writeFileAtomic } from '../store/index.ts';

const SECRET_HEX = /^(?:0x)?([0-9a-fA-F]{64})\s*$/;
const OTHERS = 0o077;
/** A key file has 64 digits; anything much longer is not read into memory. */
const MAX_FILE_BYTES = 1024;

/** What a key file holds. */
interface KeyFile {
  signer: Signer;
  secret: Uint8Array;
}

/** Writes a new key to a file, 0600. False if somebody else made the file first, which is as good. */
export async function createKeyFile(path: string): Promise<boolean> {
  const bytes = Buffer.from(`${Buffer.from(generateKey()).toString('hex')}\n`);
  return await writeFileAtomic(path, { bytes, mode: 0o600, exclusive: true });
}

/**
 * Undefined if there is no such file.
 * @throws VmletError `KEY_EXPOSED`, `KEY_UNREADABLE`
 */
export async function readKeyFile(path: string): Promise<KeyFile | undefined> {
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
    const secret = Buffer.from(digits, 'hex');
    return { signer: createEvmSigner(secret), secret };
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

/** A key file that holds no key. */
export function unreadable(path: string, cause: string): VmletError {
  return new VmletError('KEY_UNREADABLE', { operands: { path, cause } });
}
