import type { ItemHash } from '@vmlet/messages';
import { type Deadline, deadline } from '../deadline.ts';
import { VmletError } from '../errors.ts';
import type { Ledger } from '../ledger/index.ts';
import { Deliveries, type DeliveriesComponents, type RetryConfig } from './deliveries.ts';
import { type Delivery, DeliveryTable, type TriggersDatabase } from './delivery-table.ts';
import { Matcher } from './matcher.ts';

/** As retried: from a second to an hour, about fifty minutes in all. */
const RETRIES: RetryConfig = { maxTries: 12, backOffMs: 2000, maxBackOffMs: 3_600_000 };
/** When the database could not be written, matching goes on after so long, whatever comes. In milliseconds. */
const MATCH_AGAIN_MS = 5000;

export interface TriggersComponents extends Omit<DeliveriesComponents, 'table' | 'ledger' | 'retries'> {
  database: TriggersDatabase;
  ledger: Pick<Ledger, 'get' | 'programs' | 'processedSince' | 'newestSeq' | 'subscribe'>;
  retries?: RetryConfig | undefined;
}

/** A program that listens, and what it has not taken yet. */
export interface TriggerInfo {
  /** The original of a program and its replacements. */
  readonly itemHash: ItemHash;
  /** `on.message` of its newest version, as it was signed. */
  readonly on: readonly Readonly<Record<string, unknown>>[];
  readonly waiting: number;
  readonly dead: number;
}

/** Tells programs of the messages that they listen to. */
export class Triggers implements AsyncDisposable {
  readonly #table: DeliveryTable;
  readonly #deliveries: Deliveries;
  readonly #matcher: Matcher;
  readonly #unsubscribe: () => void;
  #again: Deadline | undefined;

  /** Takes up what the node before has left, and follows the ledger from there. To be made before messages are accepted. */
  constructor(components: TriggersComponents) {
    const { database, ledger, findProgram, log, retries = RETRIES } = components;
    this.#table = new DeliveryTable(database);
    this.#deliveries = new Deliveries({ ...components, table: this.#table, retries });
    this.#matcher = new Matcher({
      table: this.#table,
      ledger,
      mayRun: (itemHash) => mayRun(() => findProgram(itemHash)),
      onMatched: (programs) => this.#deliveries.wake(programs),
      onError: (err) => {
        log.error({ err }, 'messages were not matched with what programs listen to');
        this.#matchLater();
      },
    });
    this.#unsubscribe = ledger.subscribe((event) => this.#matcher.see(event));
    this.#matcher.open();
    this.#deliveries.resume();
  }

  /** How many deliveries all programs have. */
  count(): Record<Delivery['state'], number> {
    const count = { waiting: 0, dead: 0 };
    for (const { waiting, dead } of this.#table.counts()) {
      count.waiting += waiting;
      count.dead += dead;
    }
    return count;
  }

  /** Deliveries that are under way. */
  get inFlight(): number {
    return this.#deliveries.inFlight;
  }

  /** The programs that listen or have deliveries. */
  list(): TriggerInfo[] {
    const counts = new Map(this.#table.counts().map((one) => [one.program, one]));
    const listening = new Map(this.#matcher.listeners.newest().map((one) => [one.original, one.on]));
    return [...new Set([...listening.keys(), ...counts.keys()])].map((itemHash) => {
      const { waiting = 0, dead = 0 } = counts.get(itemHash) ?? {};
      return { itemHash, on: listening.get(itemHash) ?? [], waiting, dead };
    });
  }

  /** Deliveries of a program, or of all, the oldest first. */
  deliveries(state: Delivery['state'], options: { program?: ItemHash | undefined; limit: number }): Delivery[] {
    return this.#table.list(state, options);
  }

  /**
   * Sends a dead letter again, from its first try on.
   * @throws VmletError `TRIGGER_UNKNOWN`
   */
  retry(id: number): void {
    const program = this.#table.revive(id, Date.now());
    if (program === undefined) throw new VmletError('TRIGGER_UNKNOWN', { operands: { id } });
    this.#deliveries.wake([program]);
  }

  /** Sends all dead letters again, of a program or of all. Gives how many. */
  retryAll(program: ItemHash | undefined): number {
    const programs = this.#table.reviveAll(program, Date.now());
    this.#deliveries.wake(new Set(programs));
    return programs.length;
  }

  /** Resolves when each message that has come is matched with what programs listen to. */
  async matched(): Promise<void> {
    await this.#matcher.settled();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#unsubscribe();
    this.#again?.[Symbol.dispose]();
    await this.#matcher[Symbol.asyncDispose]();
    await this.#deliveries[Symbol.asyncDispose]();
  }

  #matchLater(): void {
    this.#again?.[Symbol.dispose]();
    this.#again = deadline(MATCH_AGAIN_MS);
    this.#again.signal.addEventListener('abort', () => this.#matcher.kick(), { once: true });
  }
}

/** One that is stopped hears of all when it is started again. */
function mayRun(find: () => unknown): boolean {
  try {
    find();
    return true;
  } catch (error) {
    return error instanceof VmletError && error.code === 'PROGRAM_STOPPED';
  }
}
