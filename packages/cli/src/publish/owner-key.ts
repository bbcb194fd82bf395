import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { Signer } from '@vmlet/messages/sign';
import type { Output } from '../output.ts';

/**
 * The owner's key, made on first use.
 * @param config `$XDG_CONFIG_HOME/vmlet`
 * @throws VmletError `KEY_EXPOSED`, `KEY_UNREADABLE`
 */
export async function loadSigner(config: string, output: Output): Promise<Signer> {
  // Loaded late: the node is large, and most commands do not sign.
  const { loadOrCreateKey } = await import('@vmlet/node');
  const { signer, path, created } = await loadOrCreateKey(config);
  if (created) output.note(`Made your key: ${path} (address ${signer.address}). Keep a copy: it owns what you deploy`);
  return signer;
}

/** The address of the owner's key; undefined where there is none yet, which this does not change. */
export async function existingAddress(config: string): Promise<string | undefined> {
  const isThere = await access(join(config, 'keys', 'default.key')).then(
    () => true,
    () => false,
  );
  if (!isThere) return undefined;
  const { loadOrCreateKey } = await import('@vmlet/node');
  return (await loadOrCreateKey(config)).signer.address;
}
