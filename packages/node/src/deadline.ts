/**
 * The only timers of the node. Nothing on a request's way polls or sleeps: a timer here only ever ends a wait
 * that has gone on for too long, or stops a machine that nobody has asked for a while.
 */

/** The longest that Node.js can wait (24.8 days); a longer wait would end at once. In milliseconds. */
const MAX_TIMER_MS = 2_147_483_647;

/** A deadline that aborts its signal. Dispose it when the wait is over, or it goes on listening to its parent. */
export interface Deadline extends Disposable {
  readonly signal: AbortSignal;
  /** Milliseconds, as given. */
  readonly ms: number;
  /** Whether this deadline has passed; false if the parent ended the wait first. */
  readonly expired: boolean;
}

/** Raised as the abort reason by a deadline that passed. */
export class DeadlinePassed extends Error {
  override readonly name = 'DeadlinePassed';
  readonly ms: number;
  constructor(ms: number) {
    super(`Cannot wait longer: ${ms} ms passed`);
    this.ms = ms;
  }
}

/**
 * Starts a deadline of `ms` milliseconds.
 * @returns a signal that aborts with {@link DeadlinePassed}, or with `parent`'s reason if that aborts first
 */
export function deadline(ms: number, parent?: AbortSignal): Deadline {
  const controller = new AbortController();
  // Made when it is needed: an error costs more than all the rest.
  let passed: DeadlinePassed | undefined;
  const pass = () => {
    passed = new DeadlinePassed(ms);
    controller.abort(passed);
  };
  const timer = setTimeout(pass, Math.min(ms, MAX_TIMER_MS));
  timer.unref();
  const onParent = () => controller.abort(parent?.reason);
  if (parent?.aborted) onParent();
  else parent?.addEventListener('abort', onParent, { once: true });
  return {
    signal: controller.signal,
    ms,
    get expired() {
      return passed !== undefined && controller.signal.reason === passed;
    },
    [Symbol.dispose]() {
      clearTimeout(timer);
      parent?.removeEventListener('abort', onParent);
    },
  };
}

/** A deadline for who waits for no signal. Dispose of it once, when the wait is over, and do not use it after that. */
interface TimeLimit extends Disposable {
  /** Whether it has passed. */
  readonly expired: boolean;
}

/** Timers that nobody uses are kept, up to so many. */
const MAX_SPARE_TIMERS = 256;

/**
 * Time limits of many short waits, most of the same length. Timers are used again: one that is made and cleared for each
 * wait stays in memory for long, and its collection cost the gateway a tenth of its time.
 */
export class TimeLimits {
  readonly #spare: ReusableLimit[] = [];

  /** Calls `onPassed` once, `ms` milliseconds from now, unless disposed of before. */
  start(ms: number, onPassed: (passed: DeadlinePassed) => void): TimeLimit {
    const spare = this.#spare.pop();
    if (spare?.ms === ms) return spare.start(onPassed);
    spare?.end();
    return new ReusableLimit(ms, (unused) => {
      if (this.#spare.length < MAX_SPARE_TIMERS) this.#spare.push(unused);
      else unused.end();
    }).start(onPassed);
  }
}

class ReusableLimit implements TimeLimit {
  readonly ms: number;
  expired = false;
  readonly #onUnused: (limit: ReusableLimit) => void;
  readonly #timer: NodeJS.Timeout;
  #onPassed: ((passed: DeadlinePassed) => void) | undefined;

  constructor(ms: number, onUnused: (limit: ReusableLimit) => void) {
    this.ms = ms;
    this.#onUnused = onUnused;
    this.#timer = setTimeout(() => this.#pass(), Math.min(ms, MAX_TIMER_MS));
    this.#timer.unref();
  }

  start(onPassed: (passed: DeadlinePassed) => void): this {
    this.expired = false;
    this.#onPassed = onPassed;
    this.#timer.refresh();
    return this;
  }

  end(): void {
    clearTimeout(this.#timer);
  }

  [Symbol.dispose](): void {
    this.#onPassed = undefined;
    this.#onUnused(this);
  }

  #pass(): void {
    if (this.#onPassed === undefined) return;
    this.expired = true;
    this.#onPassed(new DeadlinePassed(this.ms));
  }
}

/** A timer that can be armed again and again without a new allocation each time. */
export interface IdleTimer extends Disposable {
  arm(): void;
  disarm(): void;
}

/** Calls `onIdle` once `ms` milliseconds after the last `arm()`, unless disarmed. */
export function idleTimer(ms: number, onIdle: () => void): IdleTimer {
  let armed = false;
  const timer = setTimeout(
    () => {
      if (armed) onIdle();
    },
    Math.min(ms, MAX_TIMER_MS),
  );
  timer.unref();
  return {
    arm() {
      armed = true;
      timer.refresh();
    },
    disarm() {
      armed = false;
    },
    [Symbol.dispose]() {
      armed = false;
      clearTimeout(timer);
    },
  };
}

/** Work that many ask for and that is done once for all of them. */
interface Paced extends Disposable {
  /** Has the work done soon. */
  ask(): void;
}

/**
 * Runs `work` for whoever asked since its last run: at this turn's end after a quiet time, and no sooner than `ms`
 * milliseconds after the run before, nor than that run took, so that others get as much of the processor as it does.
 * While nobody asks there is no timer.
 */
export function paced(ms: number, work: () => void): Paced {
  let nextRun = Number.NEGATIVE_INFINITY;
  let isAsked = false;
  let timer: NodeJS.Timeout | undefined;
  const run = () => {
    if (!isAsked) return;
    isAsked = false;
    const start = performance.now();
    work();
    const end = performance.now();
    nextRun = Math.max(start + ms, end + (end - start));
  };
  return {
    ask() {
      if (isAsked) return;
      isAsked = true;
      const waitMs = nextRun - performance.now();
      if (waitMs <= 0) setImmediate(run);
      else timer = setTimeout(run, waitMs).unref();
    },
    [Symbol.dispose]() {
      isAsked = false;
      clearTimeout(timer);
    },
  };
}

/** Makes a connection tell by `timeout`, once, that nothing has moved on it for `ms` milliseconds. */
export function watchIdle(connection: { setTimeout(ms: number): unknown }, ms: number): void {
  connection.setTimeout(Math.min(ms, MAX_TIMER_MS));
}

/** Waits for `promise`, but rejects with the signal's reason as soon as it aborts. The promise itself goes on. */
export async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  // Whoever stops waiting never sees how the promise ends; a later rejection is not unhandled for that.
  promise.catch(() => {});
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
