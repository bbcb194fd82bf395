/**
 * Makes clones of one snapshot draw different random numbers. Whatever Node keeps ahead in memory would be the same in all
 * of them: so the launcher keeps it, where it can be thrown away, and no program ever sees Node's own.
 */
import { closeSync, openSync, readSync } from 'fs';
import { join } from 'path';

const POOL_BYTES = 2048;
/** In bytes: a UUID, a number of `randomInt`, the state of `Math.random`. */
const SIZES = { uuid: 16, int: 6, state: 16 } as const;
/** How many numbers `randomInt` has. */
const INT_VALUES = 2 ** (8 * SIZES.int);
/** What the upper 27 and the lower 26 of the 53 bits of a number below 1 count in. */
const UPPER_UNIT = 2 ** -27;
const LOWER_UNIT = 2 ** -53;
/** What OpenSSL's generator is keyed with, and a nonce. */
const SEED_BYTES = 48;
const RANDOM_DEVICE = '/dev/urandom';

/** Adds entropy to OpenSSL's generators; 0 where the Node that runs has no such function. `reseed.c` is it. */
type AddEntropy = (entropy: Buffer) => number;
type Callback = (error: undefined, value: number) => void;

interface Crypto {
  randomFillSync<T extends NodeJS.ArrayBufferView>(bytes: T): T;
  randomUUID?(options?: object): string;
  randomInt?(...values: unknown[]): unknown;
  /** Since Node 15. */
  webcrypto?: object;
}

const crypto = require('crypto') as Crypto;

/** What `Math.random` goes on from. */
const state = new Int32Array(SIZES.state / 4);
/** Random bytes that were not used yet, from `poolAt` on. */
const pool = Buffer.alloc(POOL_BYTES);
let poolAt = POOL_BYTES;
let addEntropy: AddEntropy | undefined;

/** Takes the place of what Node draws ahead: `Math.random`, and `randomUUID` and `randomInt` of its crypto. */
export function installRandomness(): void {
  crypto.randomFillSync(state);
  const { random } = { random: () => (nextState() >>> 5) * UPPER_UNIT + (nextState() >>> 6) * LOWER_UNIT };
  define(Math, 'random', random);
  const { randomUUID, randomInt, webcrypto } = crypto;
  if (randomInt !== undefined) define(crypto, 'randomInt', intFunction(randomInt));
  if (randomUUID !== undefined) {
    const pooled = uuidFunction(randomUUID);
    define(crypto, 'randomUUID', pooled);
    replaceWebUuid(webcrypto, pooled);
  }
  // For what an ES module imports by name.
  const { syncBuiltinESMExports } = require('module') as { syncBuiltinESMExports(): void };
  syncBuiltinESMExports();
}

/** Loads what `reseed` is going to need, so that a clone does not have to. */
export function prepareReseed(): void {
  if (addEntropy !== undefined) return;
  const path = join(__dirname, 'reseed.node');
  addEntropy = require(path) as AddEntropy;
  delete require.cache[path];
}

/**
 * Starts all generators of this process anew, from the kernel's, which is a clone's own already. Tells whether OpenSSL's
 * was reached: if not, it notices by the clock, which stood two hours back while the snapshot was made.
 */
export function reseed(): boolean {
  prepareReseed();
  const fresh = Buffer.alloc(SIZES.state + SEED_BYTES);
  const device = openSync(RANDOM_DEVICE, 'r');
  try {
    for (let have = 0; have < fresh.length; ) have += readSync(device, fresh, have, fresh.length - have, null);
  } finally {
    closeSync(device);
  }
  fresh.copy(Buffer.from(state.buffer), 0, 0, SIZES.state);
  pool.fill(0);
  poolAt = POOL_BYTES;
  return addEntropy?.(fresh.slice(SIZES.state)) === 1;
}

/** One step of sfc32, by Chris Doty-Humphrey: as quick as V8's own, and with 128 bits of state that can be set. */
function nextState(): number {
  const a = state[0] ?? 0;
  const b = state[1] ?? 0;
  const c = state[2] ?? 0;
  const counter = state[3] ?? 0;
  const next = (a + b + counter) | 0;
  state[0] = b ^ (b >>> 9);
  state[1] = (c + (c << 3)) | 0;
  state[2] = (((c << 21) | (c >>> 11)) + next) | 0;
  state[3] = (counter + 1) | 0;
  return next;
}

/** Takes bytes out of the pool, which is filled anew when it has too few. Returns where they are. */
function take(sizeBytes: number): number {
  if (poolAt + sizeBytes > POOL_BYTES) {
    crypto.randomFillSync(pool);
    poolAt = 0;
  }
  poolAt += sizeBytes;
  return poolAt - sizeBytes;
}

/** What Node's does: `original` is for whom wants no cache, and for wrong use, which is its to word. */
function uuidFunction(original: (options?: object) => string): (options?: object) => string {
  function randomUUID(options?: object): string {
    const { disableEntropyCache: isUncached = false } = Object(options) as { disableEntropyCache?: unknown };
    if (isUncached !== false || (options !== undefined && (typeof options !== 'object' || options === null))) {
      return original(options);
    }
    const at = take(SIZES.uuid);
    pool[at + 6] = ((pool[at + 6] ?? 0) & 0x0f) | 0x40;
    pool[at + 8] = ((pool[at + 8] ?? 0) & 0x3f) | 0x80;
    const hex = pool.toString('hex', at, at + SIZES.uuid);
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  }
  return randomUUID;
}

/** `crypto.randomUUID()` of the web, which is a method and refuses to be called as anything else. */
function replaceWebUuid(webcrypto: object | undefined, pooled: (options?: object) => string): void {
  const prototype = Object.getPrototypeOf(Object(webcrypto)) as { randomUUID?: (options?: object) => string };
  const { randomUUID: original } = prototype;
  if (webcrypto === undefined || original === undefined) return;
  const { randomUUID } = {
    randomUUID(this: unknown, options?: object): string {
      return this === webcrypto ? pooled(options) : original.call(this, options);
    },
  };
  define(prototype, 'randomUUID', randomUUID);
}

/** What Node's does, with `original` for wrong use. */
function intFunction(original: (...values: unknown[]) => unknown): (...values: unknown[]) => unknown {
  function randomInt(min: unknown, max?: unknown, callback?: unknown): unknown {
    const hasLeast = max !== undefined && typeof max !== 'function';
    const [least, end, done] = hasLeast ? [min, max, callback] : [0, min, max];
    if (!isRange(least, end) || (done !== undefined && typeof done !== 'function')) {
      return original(min, max, callback);
    }
    const value = least + below(Number(end) - least);
    if (done === undefined) return value;
    process.nextTick(done as Callback, undefined, value);
    return undefined;
  }
  return randomInt;
}

function isRange(least: unknown, end: unknown): least is number {
  if (!Number.isSafeInteger(least) || !Number.isSafeInteger(end)) return false;
  return Number(end) > Number(least) && Number(end) - Number(least) < INT_VALUES;
}

/** A number from 0 to `size` - 1, each as likely: what is left of the last whole `size` is drawn again. */
function below(size: number): number {
  const limit = INT_VALUES - (INT_VALUES % size);
  for (;;) {
    const drawn = pool.readUIntBE(take(SIZES.int), SIZES.int);
    if (drawn < limit) return drawn % size;
  }
}

/** Puts a function where Node has its own, to be seen no more than that one. */
function define(owner: object, name: string, value: unknown): void {
  const { enumerable = false } = Object.getOwnPropertyDescriptor(owner, name) ?? {};
  Object.defineProperty(owner, name, { value, enumerable, writable: true, configurable: true });
}
