/** Where a message is in its life. The drawing is in the part's README. */
export type MessageStatus = 'pending' | 'processed' | 'rejected' | 'forgotten' | 'removing' | 'removed';

/** The moves there are. A message enters as pending within the transaction that accepts it. */
const TRANSITIONS: Readonly<Record<MessageStatus, readonly MessageStatus[]>> = {
  // Forgotten: it changes what is forgotten already.
  pending: ['pending', 'processed', 'rejected', 'forgotten'],
  processed: ['forgotten', 'removing'],
  // A rejected hash may come again, this time well signed.
  rejected: ['pending'],
  forgotten: [],
  removing: ['processed', 'removed', 'forgotten'],
  removed: ['forgotten'],
};

/**
 * The one gate for a change of status.
 * @throws Error for a move that is not in the table: a defect of the ledger
 */
export function transition(from: MessageStatus, to: MessageStatus, { itemHash }: { itemHash: string }): MessageStatus {
  if (TRANSITIONS[from].includes(to)) return to;
  const wanted = TRANSITIONS[from].join(' or ') || 'no further status';
  throw new Error(`Cannot move the message '${itemHash}' to ${to}: it is ${from}, expected ${wanted}`);
}
