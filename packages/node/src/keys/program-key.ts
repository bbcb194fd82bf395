import { createECDH } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ItemHash } from '@vmlet/messages';
import type { Signer } from '@vmlet/messages/sign';
import { makePrivateDir } from '../store/index.ts';
import { createKeyFile, readKeyFile, unreadable } from './key-file.ts';

/** A program's key, ready to sign. The secret itself is not shown, and is never told to a guest. */
export interface ProgramKey {
  readonly signer: Signer;
  /** Compressed, in hex with `0x`. */
  readonly publicKey: string;
}

/**
 * Reads the key of a program in `dir`, making one on first use.
 * @throws VmletError `KEY_EXPOSED` if others may read the file, `KEY_UNREADABLE` if it holds no key, `STORAGE_FULL`,
 *   `STORAGE_FAILED`
 */
export async function loadOrCreateProgramKey(dir: string, itemHash: ItemHash): Promise<ProgramKey> {
  const path = pathOf(dir, itemHash);
  await makePrivateDir(dir);
  let found = await readKeyFile(path);
  if (!found) {
    await createKeyFile(path);
    found = await readKeyFile(path);
  }
  if (!found) throw unreadable(path, 'it was removed as it was made');
  return { signer: found.signer, publicKey: publicKeyOf(found.secret) };
}

/** Removes the key of a program; it is no error if there is none. What was signed with it stays signed. */
export async function removeProgramKey(dir: string, itemHash: ItemHash): Promise<void> {
  await rm(pathOf(dir, itemHash), { force: true });
}

/** An item_hash is hex digits, or a CID: a file's name either way. */
function pathOf(dir: string, itemHash: ItemHash): string {
  return join(dir, `${itemHash}.key`);
}

function publicKeyOf(secret: Uint8Array): string {
  const ecdh = createECDH('secp256k1');
  ecdh.setPrivateKey(secret);
  return `0x${ecdh.getPublicKey('hex', 'compressed')}`;
}
