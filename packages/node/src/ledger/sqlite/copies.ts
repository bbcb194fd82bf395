import { type Envelope, MessageError, parseContent } from '@vmlet/messages';
import type { ContentOf, MessageType } from '@vmlet/messages/schema';
import type { Facts } from '../apply/apply.ts';
import { notPermitted, topicOf } from '../check/permission.ts';
import { preferred } from '../check/prefer.ts';
import { NetworkCode } from '../codes.ts';
import type { Reason } from '../reason.ts';
import type { IndexTables } from './index-tables.ts';
import type { MessageTable } from './message-table.ts';
import { envelopeOf, type Row } from './rows.ts';

/** Of one message; anyone can send more, by writing another time on one. */
const MAX_COPIES = 64;

interface CopiesComponents {
  messages: MessageTable;
  index: IndexTables;
}

/** What a copy came to: it was refused, it brought the content that its message waits for, or neither. */
export interface Taken {
  refused?: Reason | undefined;
  hasBroughtContent?: boolean;
}

/**
 * Copies of one message: envelopes that differ in what nobody signed, or in who signed. Which one is kept is the same in
 * whatever order they come, before and after the content is known, the message in force, or forgotten.
 */
export class Copies {
  readonly #components: CopiesComponents;

  constructor(components: CopiesComponents) {
    this.#components = components;
  }

  /** Takes a copy whose signature was verified. */
  take(copy: Envelope, { row, facts }: { row: Row; facts: Facts }): Taken {
    const present = envelopeOf(row);
    if (row.signed_time === null) return this.#takeEarly(copy, { present, facts });
    const { address, signed_time: signedTime, topic } = row;
    const refused = this.#denial(copy, { address: address ?? '', topic: topic ?? undefined, type: row.type });
    if (refused !== undefined) return { refused };
    if (preferred(present, copy, { signedTime, owner: address ?? '' }) !== copy) return {};
    this.#components.messages.replaceCopy(copy, { hasContent: row.item_content !== null || row.content !== null });
    return {};
  }

  /** The copy to keep, once the content is known, and what is known of it. */
  choose(present: Envelope, { row, facts }: { row: Row; facts: Facts }): { envelope: Envelope; facts: Facts } {
    const { messages } = this.#components;
    const { text } = facts;
    const copies = row.signed_time === null && text !== undefined ? messages.copies(row.item_hash) : [];
    if (text === undefined || copies.length === 0) return { envelope: present, facts };
    messages.clearCopies(row.item_hash);
    // Whoever came first may have written another type, or not be allowed to write it.
    const valid = [present, ...copies].flatMap((envelope) => {
      const content = envelope.type === present.type ? facts.content : contentOrNone(envelope.type, text);
      if (content === undefined) return [];
      const { type } = envelope;
      const refused = this.#denial(envelope, { address: content.address, topic: topicOf(content), type });
      return refused === undefined ? [{ envelope, content }] : [];
    });
    const [first, ...others] = valid;
    if (first === undefined) return { envelope: present, facts };
    const { time: signedTime, address: owner } = first.content;
    const best = others.reduce(
      (a, b) => (preferred(a.envelope, b.envelope, { signedTime, owner }) === a.envelope ? a : b),
      first,
    );
    if (best.envelope === present) return { envelope: present, facts };
    messages.replaceCopy(best.envelope, { hasContent: true });
    if (best.envelope.type === present.type) return { envelope: best.envelope, facts };
    return {
      envelope: best.envelope,
      facts: { text, content: best.content, unreadable: undefined, fileSizeBytes: undefined },
    };
  }

  /** Which time was signed, and by whom it may be, is known once the content is. */
  #takeEarly(copy: Envelope, { present, facts }: { present: Envelope; facts: Facts }): Taken {
    const { messages } = this.#components;
    const { content } = facts;
    const brings = copy.item_type === 'inline' && present.item_type !== 'inline' && content !== undefined;
    if (!brings) {
      this.#remember(copy, present);
      return {};
    }
    const deed = { address: content.address, topic: topicOf(content), type: copy.type };
    const refused = this.#denial(copy, deed);
    if (refused !== undefined) return { refused };
    this.#remember(present, copy);
    messages.replaceCopy(copy, { hasContent: true });
    return { hasBroughtContent: true };
  }

  #remember(copy: Envelope, present: Envelope): void {
    const { messages } = this.#components;
    const known = [present, ...messages.copies(copy.item_hash)];
    if (known.length > MAX_COPIES || known.some((one) => isSame(one, copy))) return;
    messages.insertCopy(copy);
  }

  /** The channel is not signed, and an authorization may name channels. */
  #denial(copy: Envelope, deed: { address: string; topic: string | undefined; type: MessageType }): Reason | undefined {
    if (copy.type !== deed.type) {
      const fault = `Cannot accept '${copy.item_hash}' as ${copy.type}: it is a ${deed.type}, expected that type`;
      return { code: NetworkCode.FORMAT, errors: [fault] };
    }
    // What an amend needs is known when its original is here, and the ledger asks again then.
    if (deed.topic === 'amend') return undefined;
    const { channel } = copy;
    return notPermitted(copy, { ...deed, channel }, (owner) => this.#components.index.security(owner));
  }
}

function contentOrNone(type: MessageType, text: string): ContentOf<MessageType> | undefined {
  try {
    return parseContent(type, text);
  } catch (error) {
    if (error instanceof MessageError) return undefined;
    throw error;
  }
}

function isSame(a: Envelope, b: Envelope): boolean {
  const parts = ({ type, sender, chain, time, channel, signature, item_type }: Envelope) =>
    JSON.stringify([type, sender, chain, time, channel ?? null, signature, item_type]);
  return parts(a) === parts(b);
}
