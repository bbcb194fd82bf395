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
