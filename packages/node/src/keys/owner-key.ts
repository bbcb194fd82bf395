import { join } from 'node:path';
import type { Signer } from '@vmlet/messages/sign';
import { makePrivateDir } from '../store/index.ts';
import { createKeyFile, readKeyFile, unreadable } from './key-file.ts';

/** An owner's key, ready to sign. The secret itself is not shown. */
export interface OwnerKey {
  readonly signer: Signer;
  /** Where the secret is kept. */
  readonly path: string;
  /** True if it was made by this call. */
  readonly created: boolean;
}

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
  const found = await readKeyFile(path);
  if (found !== undefined) return { signer: found.signer, path, created: false };
  const created = await createKeyFile(path);
  const made = await readKeyFile(path);
  if (made === undefined) throw unreadable(path, 'it was removed as it was made');
  return { signer: made.signer, path, created };
}
