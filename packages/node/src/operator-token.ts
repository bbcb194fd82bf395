import { createHash } from 'node:crypto';
import { type ItemHash, verifySignature } from '@vmlet/messages';
import type { Address } from '@vmlet/messages/schema';
import type { Signable } from '@vmlet/messages/sign';

/** How long a token is good, before and after the time in it: clocks differ. */
const TOKEN_SECONDS = 300;
const TOKEN = /^(\d{1,12}):(0x[0-9a-fA-F]{130})$/;

/**
 * What the operator signs to prove who asks, as a message would be signed. The hash is of a text that is no JSON, so
 * that no token is the signature of a message.
 */
export function tokenPart(operator: string, { seconds }: { seconds: number }): Signable {
  const item_hash = createHash('sha256').update(`vmlet operator token\n${seconds}`).digest('hex') as ItemHash;
  return { chain: 'ETH', sender: operator as Address, type: 'POST', item_hash };
}

/** Reads `<seconds since 1970>:<signature>`: whether the operator signed it within the last minutes. */
export function isOperatorToken(
  token: string,
  { operator, now = Date.now }: { operator: string; now?: () => number },
): boolean {
  const [, text, signature] = TOKEN.exec(token) ?? [];
  if (text === undefined || signature === undefined) return false;
  const seconds = Number(text);
  if (Math.abs(now() / 1000 - seconds) > TOKEN_SECONDS) return false;
  return verifySignature({ ...tokenPart(operator, { seconds }), signature }).ok;
}
