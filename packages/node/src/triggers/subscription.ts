/** Members that one subscription may have in all its levels; one with more matches nothing. */
const MAX_SUBSCRIPTION_NODES = 256;
/** How deep a subscription may be nested. */
const MAX_SUBSCRIPTION_DEPTH = 16;
/** Subscriptions of one program that are looked at. */
export const MAX_SUBSCRIPTIONS = 64;

/** What is told of a message to subscriptions: the envelope's members, and `content`. */
export type Matchable = Readonly<Record<string, unknown>>;

type Scalar = string | number | boolean | null;

/** One comparison: the member at a path is one of some values. */
export interface Condition {
  /** Member names from the top of the message down. */
  readonly path: readonly string[];
  /** Tells one path from every other. */
  readonly key: string;
  readonly oneOf: ReadonlySet<Scalar>;
}

/** A subscription in the form that is quick to ask: all of its conditions must hold. */
export type Subscription = readonly Condition[];

/** Members that hold an address: of an EVM address case says nothing. */
const ADDRESSES = new Set([['sender'], ['content', 'address']].map(keyOf));

/**
 * Reads one entry of `on.message`. As in the reference system a member that is an object is looked into, and what is asked
 * for must be equal; beyond it, a list asks for any of its values, and numbers, booleans and null can be asked for.
 * @returns undefined for one that can match nothing: without members, nested too deep, too large, or with an empty list
 */
export function readSubscription(entry: Readonly<Record<string, unknown>>): Subscription | undefined {
  const conditions: Condition[] = [];
  let nodes = 0;
  const read = (members: Readonly<Record<string, unknown>>, path: readonly string[]): boolean => {
    if (path.length >= MAX_SUBSCRIPTION_DEPTH) return false;
    const entries = Object.entries(members);
    // Whoever asks for nothing, asks for nothing by name; `{}` below a member is an object, whatever is in it.
    if (entries.length === 0) return false;
    for (const [name, wanted] of entries) {
      nodes += Array.isArray(wanted) ? wanted.length + 1 : 1;
      if (nodes > MAX_SUBSCRIPTION_NODES) return false;
      const at = [...path, name];
      if (isMembers(wanted)) {
        if (!read(wanted, at)) return false;
        continue;
      }
      const values = Array.isArray(wanted) ? wanted : [wanted];
      if (values.length === 0 || !values.every(isScalar)) return false;
      const key = keyOf(at);
      conditions.push({ path: at, key, oneOf: new Set(values.map((value) => comparable(value, key))) });
    }
    return true;
  };
  return read(entry, []) ? conditions : undefined;
}

/** A message as subscriptions are asked about it: each member is looked up once, however many ask. */
export class MatchedMessage {
  readonly #message: Matchable;
  readonly #found = new Map<string, ReadonlySet<unknown>>();

  constructor(message: Matchable) {
    this.#message = message;
  }

  /** Whether all conditions hold. */
  satisfies(subscription: Subscription): boolean {
    return subscription.every(({ path, key, oneOf }) => {
      const found = this.valuesAt(path, key);
      // The shorter side is walked: neither a long list in the message nor one in the subscription is paid for twice.
      const [few, many] = found.size < oneOf.size ? [found, oneOf as ReadonlySet<unknown>] : [oneOf, found];
      for (const value of few) if (many.has(value)) return true;
      return false;
    });
  }

  /** The value of a member, or those of a list; none where there is no such member. */
  valuesAt(path: readonly string[], key: string = keyOf(path)): ReadonlySet<unknown> {
    const known = this.#found.get(key);
    if (known) return known;
    const values = new Set(this.#look(path).map((value) => comparable(value, key)));
    this.#found.set(key, values);
    return values;
  }

  #look(path: readonly string[]): unknown[] {
    let value: unknown = this.#message;
    for (const name of path) {
      if (!isMembers(value) || !Object.hasOwn(value, name)) return [];
      value = value[name];
    }
    return Array.isArray(value) ? value : [value];
  }
}

/** A text for a path, another one for each. */
export function keyOf(path: readonly string[]): string {
  return JSON.stringify(path);
}

/** The spelling by which a value is compared. */
function comparable<T>(value: T, key: string): T | string {
  const isAddress = typeof value === 'string' && ADDRESSES.has(key) && /^0x/i.test(value);
  return isAddress ? value.toLowerCase() : value;
}

function isMembers(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isScalar(value: unknown): value is Scalar {
  return value === null || ['string', 'number', 'boolean'].includes(typeof value);
}
