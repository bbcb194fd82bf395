import type { ItemHash } from '@vmlet/messages';
import { failpoint } from '../failpoint.ts';
import type { AnyProcessedMessage, Ledger, LedgerEvent, ProgramRecord } from '../ledger/index.ts';
import type { DeliveryTable, Match } from './delivery-table.ts';
import { Listeners } from './listeners.ts';

/** Messages that are looked at in one go. */
const PAGE_MESSAGES = 256;
/** The cursor is written at least every so many messages, whether anybody listens or not. */
const MAX_UNWRITTEN_MESSAGES = 1000;

export interface MatcherComponents {
  table: DeliveryTable;
  ledger: Pick<Ledger, 'programs' | 'processedSince' | 'newestSeq'>;
  /** Whether a program may run here, by its original's item_hash; one that is only stopped may. */
  mayRun: (itemHash: ItemHash) => boolean;
  /** Programs have new deliveries. */
  onMatched: (programs: ReadonlySet<ItemHash>) => void;
  onError: (error: unknown) => void;
}

/**
 * Follows the ledger and records which messages are for whom, each message once and in the order in which they came in
 * force, over restarts: the cursor moves in the transaction that records what was found.
 */
export class Matcher implements AsyncDisposable {
  readonly listeners = new Listeners();
  readonly #components: MatcherComponents;
  /** Up to here all is matched. */
  #seq = 0;
  /** Up to here that is on disk. */
  #written = 0;
  /** There are messages up to here. */
  #newest = 0;
  #running: Promise<void> | undefined;
  #ended = false;

  constructor(components: MatcherComponents) {
    this.#components = components;
  }

  /** Takes up where the node before this one had come to. Called once, before any message is accepted. */
  open(): void {
    const { table, ledger } = this.#components;
    const cursor = table.cursor();
    const behind = new Map<ItemHash, number>();
    // A home that never had triggers: what it holds came before anybody was told.
    this.#seq = this.#written = cursor ?? ledger.newestSeq();
    this.#newest = this.#readTo(this.#seq, ({ seq, message }) => {
      if (message.type === 'PROGRAM') behind.set(message.itemHash, seq);
    });
    for (const program of ledger.programs()) this.#listen(program, behind.get(program.itemHash) ?? 0);
    if (cursor === undefined) this.#write([]);
    this.kick();
  }

  /** Told of each change of the ledger, in order. */
  see(event: LedgerEvent): void {
    if (event.type === 'forgotten' || event.type === 'removed') this.listeners.remove(event.itemHash);
    if (event.type === 'restored' && event.message.type === 'PROGRAM') this.#listen(event.message, this.#newest);
    if (event.type !== 'processed') return;
    if (event.message.type === 'PROGRAM') this.#listen(event.message, event.seq);
    this.#newest = event.seq;
    this.kick();
  }

  /** Resolves when all that has come is matched. */
  async settled(): Promise<void> {
    while (this.#running) await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.settled();
    this.#ended = true;
    // If not, the node behind this one looks at some messages twice.
    if (this.#seq > this.#written) this.#write([]);
  }

  #listen({ itemHash, content }: ProgramRecord, seq: number): void {
    const { replaces, time, on } = content;
    this.listeners.add({
      itemHash,
      original: (replaces as ItemHash | undefined) ?? itemHash,
      time,
      seq,
      on: on.message ?? [],
    });
  }

  /** Goes on, if there is something to match. */
  kick(): void {
    if (this.#ended || this.#seq >= this.#newest) return;
    this.#running ??= this.#run()
      .catch((error: unknown) => this.#components.onError(error))
      .finally(() => {
        this.#running = undefined;
      });
  }

  async #run(): Promise<void> {
    // Messages that come in one transaction are matched in one.
    await undefined;
    while (this.#seq < this.#newest) {
      if (this.listeners.isEmpty) this.#skip();
      else await this.#page();
    }
  }

  /** Nobody listens. */
  #skip(): void {
    this.#seq = this.#newest;
    if (this.#seq - this.#written >= MAX_UNWRITTEN_MESSAGES) this.#write([]);
  }

  async #page(): Promise<void> {
    const { ledger, onMatched } = this.#components;
    const to = this.#newest;
    const page = ledger.processedSince(this.#seq, { limit: PAGE_MESSAGES });
    const matches = page.flatMap(({ seq, message }): Match[] => {
      const programs = this.listeners.matching(matchable(message), seq).filter((one) => this.#components.mayRun(one));
      return programs.length === 0 ? [] : [{ message: message.itemHash, seq, programs }];
    });
    this.#seq = page.length < PAGE_MESSAGES ? Math.max(to, page.at(-1)?.seq ?? 0) : (page.at(-1)?.seq ?? to);
    if (matches.length > 0 || this.#seq - this.#written >= MAX_UNWRITTEN_MESSAGES) {
      if (matches.length > 0) await failpoint('trigger.matched');
      this.#write(matches);
    }
    if (matches.length === 0) return;
    await failpoint('trigger.recorded');
    onMatched(new Set(matches.flatMap(({ programs }) => programs)));
  }

  #write(matches: readonly Match[]): void {
    try {
      this.#components.table.advance(this.#seq, { matches, nowMs: Date.now() });
      this.#written = this.#seq;
    } catch (error) {
      // Nothing of it was recorded: the same messages are looked at again.
      this.#seq = this.#written;
      throw error;
    }
  }

  /** Looks at all messages behind `seq`. Gives the last one's. */
  #readTo(seq: number, look: (one: { seq: number; message: AnyProcessedMessage }) => void): number {
    let last = seq;
    for (;;) {
      const page = this.#components.ledger.processedSince(last, { limit: PAGE_MESSAGES });
      for (const one of page) look(one);
      last = page.at(-1)?.seq ?? last;
      if (page.length < PAGE_MESSAGES) return last;
    }
  }
}

function matchable({ envelope, content }: AnyProcessedMessage): Readonly<Record<string, unknown>> {
  return { ...envelope, content };
}
