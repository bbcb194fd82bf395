import type { Envelope } from '@vmlet/messages';
import { sameAddress } from '@vmlet/messages/schema';

/** What all copies of a message have in common, for it is in the content that their hash names. */
interface Common {
  /** `content.time`, in seconds. */
  signedTime: number;
  /** `content.address`. */
  owner: string;
}

/**
 * Of two valid copies of one message the one to keep: one that carries its content, then one that the owner signed and no
 * delegate, then the time nearest to the signed time, then fewer bytes, then the smaller text. It does not depend on
 * which came first, so that all nodes keep the same one.
 */
export function preferred(a: Envelope, b: Envelope, { signedTime, owner }: Common): Envelope {
  if ((a.item_type === 'inline') !== (b.item_type === 'inline')) return a.item_type === 'inline' ? a : b;
  const [ownA, ownB] = [sameAddress(a.sender, owner), sameAddress(b.sender, owner)];
  if (ownA !== ownB) return ownA ? a : b;
  const distance = Math.abs(a.time - signedTime) - Math.abs(b.time - signedTime);
  if (distance !== 0) return distance < 0 ? a : b;
  const [textA, textB] = [textOf(a), textOf(b)];
  if (textA.length !== textB.length) return textA.length < textB.length ? a : b;
  return textA <= textB ? a : b;
}

function textOf({ time, channel, signature, sender, chain }: Envelope): string {
  return JSON.stringify([time, channel ?? null, signature, sender, chain]);
}
