import type { ItemHash } from '@vmlet/messages';
import { VmletError } from '../errors.ts';
import type { Logger, NodeMetrics } from '../telemetry/index.ts';
import { type Phase, type StartedFrom, sumMs, type WakePhases, withQueue } from './phases.ts';

/** Starts of one program that are remembered. */
const MAX_STARTS = 8;
/** Programs whose starts are remembered; beyond it those that started longest ago are forgotten. */
const MAX_PROGRAMS = 1024;

/** How one machine of a program came to answer. */
export interface Timeline {
  /** When the request came that waited for it. */
  readonly askedMs: number;
  readonly from: StartedFrom;
  /** In their order: `queue`, those of the machine, and `app` once the program has answered. */
  readonly steps: readonly Phase[];
  /** All of them together. */
  readonly totalMs: number;
}

/** A start that came to nothing. */
export interface FailedStart {
  readonly timeMs: number;
  readonly code: string;
  readonly message: string;
}

/** What is remembered of a program, the latest first. */
export interface History {
  readonly starts: readonly Timeline[];
  /** The last start, if that failed. */
  readonly failed: FailedStart | undefined;
}

/** A program may well be running when its requests fail with these. */
const NOT_OF_A_START: ReadonlySet<string> = new Set(['QUEUE_FULL', 'NODE_STOPPING']);

interface Remembered {
  starts: Timeline[];
  failed: FailedStart | undefined;
}

/** The last starts of each program, in memory; each is also counted, and told in the node's log. */
export class Timelines {
  readonly #programs = new Map<ItemHash, Remembered>();
  /** What all requests that waited for one start were given is the same object. */
  readonly #known = new WeakMap<WakePhases, Timeline>();
  readonly #components: { metrics: NodeMetrics; log: Logger };

  constructor(components: { metrics: NodeMetrics; log: Logger }) {
    this.#components = components;
  }

  /**
   * Waits for a machine of a program, and remembers how it started, if it had to. However many wait for one start, the
   * first to be served tells of it, being the one that waited longest.
   * @returns what was waited for, and how long, in milliseconds
   * @throws what `wait` throws
   */
  async watch<T extends { readonly phases: WakePhases | undefined }>(
    itemHash: ItemHash,
    wait: () => Promise<T>,
  ): Promise<{ got: T; waitedMs: number }> {
    const asked = performance.now();
    try {
      const got = await wait();
      const waitedMs = performance.now() - asked;
      if (got.phases && !this.#known.has(got.phases)) this.#started(itemHash, got.phases, { waitedMs });
      return { got, waitedMs };
    } catch (error) {
      if (error instanceof VmletError && !NOT_OF_A_START.has(error.code)) {
        const { code, message } = error;
        this.#remember(itemHash).failed = { timeMs: Date.now(), code, message };
      }
      throw error;
    }
  }

  /** Tells when the program's answer began to come, after its place was given. Of each start the first answer counts. */
  answered(itemHash: ItemHash, phases: WakePhases, { appMs }: { appMs: number }): void {
    const start = this.#known.get(phases);
    const remembered = this.#programs.get(itemHash);
    const index = start === undefined ? -1 : (remembered?.starts.indexOf(start) ?? -1);
    if (!start || !remembered || index < 0) return;
    const { from, totalMs } = start;
    const steps = [...start.steps, { name: 'app', ms: appMs }];
    // Not found a second time: it is another object from here on.
    remembered.starts[index] = { ...start, steps, totalMs: totalMs + appMs };
    const { metrics, log } = this.#components;
    metrics.startStepMs.observeMs({ from, step: 'app' }, appMs);
    metrics.startMs.observeMs({ from }, totalMs + appMs);
    log.debug({ itemHash, from, appMs: Math.round(appMs) }, 'it has answered');
  }

  of(itemHash: ItemHash): History {
    return this.#programs.get(itemHash) ?? { starts: [], failed: undefined };
  }

  forget(itemHash: ItemHash): void {
    this.#programs.delete(itemHash);
  }

  #started(itemHash: ItemHash, phases: WakePhases, { waitedMs }: { waitedMs: number }): void {
    const { from, steps } = withQueue(phases, waitedMs);
    const start = { askedMs: Date.now() - Math.round(waitedMs), from, steps, totalMs: sumMs(steps) };
    this.#known.set(phases, start);
    const remembered = this.#remember(itemHash);
    remembered.starts = [start, ...remembered.starts].slice(0, MAX_STARTS);
    remembered.failed = undefined;
    const { metrics, log } = this.#components;
    metrics.starts.add({ from });
    for (const { name, ms } of steps) metrics.startStepMs.observeMs({ from, step: name }, ms);
    log.info({ itemHash, from, steps: rounded(steps), totalMs: Math.round(start.totalMs) }, 'a machine has started');
  }

  #remember(itemHash: ItemHash): Remembered {
    const remembered = this.#programs.get(itemHash) ?? { starts: [], failed: undefined };
    // Put at the end anew: the first one is then the one that started longest ago.
    this.#programs.delete(itemHash);
    this.#programs.set(itemHash, remembered);
    const [oldest] = this.#programs.keys();
    if (this.#programs.size > MAX_PROGRAMS && oldest !== undefined) this.#programs.delete(oldest);
    return remembered;
  }
}

function rounded(steps: readonly Phase[]): Record<string, number> {
  return Object.fromEntries(steps.map(({ name, ms }) => [name, Math.round(ms * 10) / 10]));
}
