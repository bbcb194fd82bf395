import type { Envelope } from '@vmlet/messages';

/**
 * Of two valid copies of one message the one to keep: the time nearest to the signed time, then fewer bytes, then
 * the smaller text. It does not depend on which came first, so that all nodes keep the same one.
 *
 * @param signedTime `content.time`, which both copies have in common
 */
export function preferred(a: Envelope, b: Envelope, { signedTime }: { signedTime: number }): Envelope {
  const distance = Math.abs(a.time - signedTime) - Math.abs(b.time - signedTime);
  if (distance !== 0) return distance < 0 ? a : b;
  const [textA, textB] = [unsignedText(a), unsignedText(b)];
  if (textA.length !== textB.length) return textA.length < textB.length ? a : b;
  return textA <= textB ? a : b;
}

function unsignedText(envelope: Envelope): string {
  return JSON.stringify([envelope.time, envelope.channel ?? null, envelope.signature]);
}
