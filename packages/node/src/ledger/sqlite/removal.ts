import type { LedgerEvent } from '../events.ts';
import { transition } from '../state.ts';
import type { Committed } from './commit-queue.ts';
import type { IndexTables } from './index-tables.ts';
import type { MessageTable } from './message-table.ts';
import { messageOf } from './rows.ts';

/** What giving up messages needs. */
interface RemovalComponents {
  messages: MessageTable;
  index: IndexTables;
  /** Milliseconds since 1970. */
  now: () => number;
}

/** Giving up messages in force, which is this node's own decision. Every method MUST run within a transaction. */
export class Removal {
  readonly #components: RemovalComponents;

  constructor(components: RemovalComponents) {
    this.#components = components;
  }

  start(itemHash: string, { reason }: { reason: string }): Committed<boolean> {
    const found = this.#find(itemHash, 'processed');
    if (found === undefined) return NOTHING;
    transition('processed', 'removing', { itemHash });
    this.#components.messages.startRemoving(itemHash, { reason });
    return { events: [{ type: 'removing', ...found.event, reason }], value: true };
  }

  restore(itemHash: string): Committed<boolean> {
    const found = this.#find(itemHash, 'removing');
    if (found === undefined) return NOTHING;
    transition('removing', 'processed', { itemHash });
    this.#components.messages.restore(itemHash);
    return { events: [{ type: 'restored', ...found.event }], value: true };
  }

  remove(itemHash: string): Committed<boolean> {
    const { messages, index, now } = this.#components;
    const found = this.#find(itemHash, 'removing');
    if (found === undefined) return NOTHING;
    transition('removing', 'removed', { itemHash });
    messages.remove(itemHash, { removedMs: now() });
    const refs = index.drop(itemHash);
    index.rebuildAggregates();
    const events: LedgerEvent[] = [{ type: 'removed', ...found.event }];
    if (refs.length > 0) events.push({ type: 'updated', itemHash: found.event.itemHash, refs });
    return { events, value: true };
  }

  #find(itemHash: string, status: 'processed' | 'removing') {
    const row = this.#components.messages.find(itemHash);
    const message = messageOf(row);
    if (row?.status !== status || message === undefined) return undefined;
    return { event: { itemHash: message.itemHash, message } };
  }
}

const NOTHING: Committed<boolean> = { events: [], value: false };
