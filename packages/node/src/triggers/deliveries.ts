import type { ItemHash } from '@vmlet/messages';
import { type Deadline, deadline } from '../deadline.ts';
import { asVmletError, type ErrorCode, VmletError } from '../errors.ts';
import type { ProgramLogs } from '../executions/index.ts';
import { failpoint } from '../failpoint.ts';
import type { Ledger } from '../ledger/index.ts';
import type { Logger, NodeMetrics } from '../telemetry/index.ts';
import type { WireMessage } from './cloud-event.ts';
import { type DeliverComponents, deliver, type TriggerTarget } from './deliver.ts';
import type { Delivery, DeliveryTable } from './delivery-table.ts';
import { type Lane, Lanes } from './lanes.ts';

/** How failed deliveries are tried again. */
export interface RetryConfig {
  /** Tries before a message is a dead letter. */
  maxTries: number;
  /** The wait behind the first failure, which doubles with each further one. In milliseconds. */
  backOffMs: number;
  /** The longest wait, in milliseconds. */
  maxBackOffMs: number;
}

/** A program that cannot be asked now is asked again after so long, and the message has not used up a try. In milliseconds. */
const HELD_MS = 15_000;
/** What a program that fails again and again waits at the most between its messages, in milliseconds. */
const MAX_LANE_BACK_OFF_MS = 30_000;
/** What was sent when the node stops gets so long to be answered, in milliseconds. */
const DRAIN_MS = 10_000;

/** Reasons that say nothing of the program's ways with the message. */
const UNCOUNTED: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  ...(['NODE_STOPPING', 'NODE_FULL', 'QUEUE_FULL', 'PROGRAM_STOPPED', 'QEMU_NOT_STARTED'] as const),
  ...(['OWNER_MACHINES_EXCEEDED', 'OWNER_MEMORY_EXCEEDED', 'OWNER_CPU_EXCEEDED'] as const),
]);

export interface DeliveriesComponents extends DeliverComponents {
  table: DeliveryTable;
  ledger: Pick<Ledger, 'get'>;
  /** By the original's item_hash: the version that serves now. @throws VmletError why it may not run */
  findProgram: (itemHash: ItemHash) => TriggerTarget;
  logs: Pick<ProgramLogs, 'of'>;
  metrics: Pick<NodeMetrics, 'deliveries'>;
  log: Logger;
  retries: RetryConfig;
}

/**
 * Sends what waits to the programs, at least once: a delivery leaves the table only when its program has confirmed it, or
 * when its message is in force no more. Disposing of it takes no new one and lets what was sent be answered, for a while.
 */
export class Deliveries implements AsyncDisposable {
  readonly #components: DeliveriesComponents;
  readonly #lanes = new Lanes();
  readonly #underWay = new Set<Promise<void>>();
  readonly #waiting = new AbortController();
  readonly #sent = new AbortController();
  #timer: Deadline | undefined;
  /** What was due until then has woken its lane; what is due later is waited for. In milliseconds since 1970. */
  #lookedMs = -1;

  constructor(components: DeliveriesComponents) {
    this.#components = components;
  }

  /** Deliveries that are under way. */
  get inFlight(): number {
    return this.#lanes.inFlight;
  }

  /** Takes up what waits in the table: at the start, and when its time has come. */
  resume(): void {
    const nowMs = Date.now();
    const due = this.#components.table.duePrograms({ afterMs: this.#lookedMs, nowMs });
    this.#lookedMs = nowMs;
    this.wake(due);
  }

  /** Programs have something new. */
  wake(programs: Iterable<ItemHash>): void {
    for (const program of programs) this.#lanes.wake(program);
    this.#pump();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#waiting.abort(new VmletError('NODE_STOPPING'));
    this.#timer?.[Symbol.dispose]();
    using limit = deadline(DRAIN_MS);
    limit.signal.addEventListener('abort', () => this.#sent.abort(new VmletError('NODE_STOPPING')), { once: true });
    await Promise.all(this.#underWay);
  }

  #pump(): void {
    if (this.#waiting.signal.aborted) return;
    const { table } = this.#components;
    for (;;) {
      const nowMs = Date.now();
      const lane = this.#lanes.next(nowMs);
      if (!lane) break;
      const [delivery] = table.due(lane.program, { nowMs, limit: 1, but: lane.inFlight });
      if (!delivery) {
        lane.hasMore = false;
        this.#lanes.tidy(lane);
        continue;
      }
      this.#lanes.begin(lane, delivery.id);
      const running = this.#run(lane, delivery).finally(() => {
        this.#underWay.delete(running);
        this.#lanes.end(lane, delivery.id);
        this.#pump();
      });
      this.#underWay.add(running);
    }
    this.#arm();
  }

  /** Waits for the next one that is due later. */
  #arm(): void {
    this.#timer?.[Symbol.dispose]();
    const nowMs = Date.now();
    // The clock was set back: what is due soon may lie before what was looked at.
    if (nowMs < this.#lookedMs) this.#lookedMs = -1;
    const times = [this.#components.table.nextDueMs(this.#lookedMs), this.#lanes.nextHeldMs(nowMs)];
    const nextMs = Math.min(...times.map((time) => time ?? Number.POSITIVE_INFINITY));
    if (nextMs === Number.POSITIVE_INFINITY) return;
    this.#timer = deadline(Math.max(1, nextMs - nowMs));
    this.#timer.signal.addEventListener('abort', () => this.resume(), { once: true });
  }

  /** Never rejects. */
  async #run(lane: Lane, delivery: Delivery): Promise<void> {
    const { table, log } = this.#components;
    try {
      await this.#try(lane, delivery);
    } catch (err) {
      // The table could not be written: the delivery stays as it is, and is sent once more.
      holdUntil(lane, Date.now() + HELD_MS);
      log.error({ err, delivery: delivery.id, table: table.cursor() }, 'the outcome of a delivery was not recorded');
    }
  }

  async #try(lane: Lane, delivery: Delivery): Promise<void> {
    const { table, metrics, findProgram, logs } = this.#components;
    const message = this.#messageOf(delivery);
    if (!message) {
      table.remove(delivery);
      metrics.deliveries.add({ outcome: 'gone' });
      return;
    }
    let target: TriggerTarget | undefined;
    try {
      target = findProgram(delivery.program);
      lane.owner = target.owner;
      const signals = { waiting: this.#waiting.signal, sent: this.#sent.signal };
      const ms = await deliver({ message, target }, this.#components, { attempt: delivery.tries + 1, ...signals });
      await failpoint('trigger.answered');
      table.remove(delivery);
      lane.failures = 0;
      metrics.deliveries.add({ outcome: 'delivered' });
      logs.of(target.itemHash).platform(`Took ${wordsOf(message)} in ${Math.round(ms)} ms`);
    } catch (error) {
      this.#failed({ lane, delivery, message, itemHash: target?.itemHash ?? delivery.program }, asVmletError(error));
    }
  }

  #failed(of: { lane: Lane; delivery: Delivery; message: WireMessage; itemHash: ItemHash }, error: VmletError): void {
    const { table, metrics, logs, retries } = this.#components;
    const { lane, delivery, message, itemHash } = of;
    if (this.#waiting.signal.aborted && error.code === 'NODE_STOPPING') return;
    const nowMs = Date.now();
    if (UNCOUNTED.has(error.code)) {
      holdUntil(lane, nowMs + jittered(HELD_MS));
      metrics.deliveries.add({ outcome: 'held' });
      return;
    }
    lane.failures++;
    // From the second in a row on: the first says more of the message than of the program.
    if (lane.failures > 1) {
      const laneMs = Math.min(retries.backOffMs * 2 ** (lane.failures - 2), MAX_LANE_BACK_OFF_MS);
      lane.heldUntilMs = nowMs + jittered(laneMs);
    }
    const tries = delivery.tries + 1;
    const failure = error.message;
    const isDead = tries >= retries.maxTries;
    metrics.deliveries.add({ outcome: isDead ? 'dead' : 'failed' });
    if (isDead) table.bury(delivery, { tries, failure });
    const delayMs = jittered(Math.min(retries.backOffMs * 2 ** (tries - 1), retries.maxBackOffMs));
    if (!isDead) table.postpone(delivery.id, { tries, dueMs: Math.round(nowMs + delayMs), failure });
    const next = isDead ? 'a dead letter now: vmlet triggers dead' : `again in ${seconds(delayMs)}`;
    logs
      .of(itemHash)
      .platform(`Did not take ${wordsOf(message)}: ${failure}. Try ${tries} of ${retries.maxTries}, ${next}`);
  }

  #messageOf({ message }: Delivery): WireMessage | undefined {
    const known = this.#components.ledger.get(message);
    return known?.status === 'processed' ? known.message : undefined;
  }
}

/** What was under way stays due, and nobody else will look for it. */
function holdUntil(lane: Lane, untilMs: number): void {
  lane.heldUntilMs = untilMs;
  lane.hasMore = true;
}

function wordsOf({ type, item_hash: itemHash }: WireMessage): string {
  return `the message ${itemHash.slice(0, 12)} (${type})`;
}

/** Between half of a time and all of it: those that failed together do not come back together. */
function jittered(ms: number): number {
  return ms * (0.5 + Math.random() / 2);
}

function seconds(ms: number): string {
  return ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`;
}
