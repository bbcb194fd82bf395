import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Listeners } from './listeners.ts';
import { MatchedMessage, readSubscription } from './subscription.ts';
import { hash, listener } from './testing.ts';

const RUNS = process.env.VMLET_TEST_ALL ? 100_000 : 3000;

const MESSAGE = {
  sender: '0xAbCdEf0123456789aBcDeF0123456789AbCdEf01',
  chain: 'ETH',
  channel: 'TEST',
  type: 'POST',
  time: 1.5,
  content: {
    address: '0xAbCdEf0123456789aBcDeF0123456789AbCdEf01',
    type: 'note',
    ref: null,
    content: { tags: ['a', 'b'], nested: { done: true }, count: 3 },
  },
};

const matches = (on: Record<string, unknown>) => {
  const subscription = readSubscription(on);
  return subscription !== undefined && new MatchedMessage(MESSAGE).satisfies(subscription);
};

/** Chains of lists and objects, as deep as told. */
const nested = (depth: number): Record<string, unknown> => ({ a: depth > 0 ? nested(depth - 1) : 1 });

describe('subscription', () => {
  test.each([
    ['a member of the message', { channel: 'TEST' }],
    ['several, all of them', { channel: 'TEST', type: 'POST' }],
    ['a member of the content', { content: { type: 'note' } }],
    ['one that is nested deeper', { content: { content: { nested: { done: true } } } }],
    ['one of several values', { channel: ['OTHER', 'TEST'] }],
    ['a value in a list of the message', { content: { content: { tags: 'b' } } }],
    ['a number', { content: { content: { count: 3 } } }],
    ['null', { content: { ref: null } }],
    ['an address in other letters', { sender: '0xabcdef0123456789abcdef0123456789abcdef01' }],
    [
      'an address of the content in other letters',
      { content: { address: '0XABCDEF0123456789ABCDEF0123456789ABCDEF01' } },
    ],
  ])('subscription: matches by %s', (_what, on) => {
    expect(matches(on)).toBe(true);
  });

  test.each([
    ['another value', { channel: 'OTHER' }],
    ['one of two that differs', { channel: 'TEST', type: 'STORE' }],
    ['a member that is not there', { refs: 'x' }],
    ['a member that every object has', { constructor: 'x', content: { toString: 'x' } }],
    ['a text for a number', { content: { content: { count: '3' } } }],
    ['a path for a name', { 'content.type': 'note' }],
    ['a member of a text', { channel: { length: 4 } }],
    ['other letters where they count', { channel: 'test' }],
  ])('subscription: does not match by %s', (_what, on) => {
    expect(matches(on)).toBe(false);
  });

  test.each([
    ['without members', {}],
    ['with an empty object', { content: {} }],
    ['with an empty list', { channel: [] }],
    ['with a list of objects', { channel: [{}] }],
    ['that is nested too deep', nested(16)],
    ['that is too large', { channel: Array.from({ length: 256 }, (_, index) => `${index}`) }],
  ])('subscription: is not understood %s', (_what, on) => {
    expect(readSubscription(on)).toBeUndefined();
  });

  test('subscription: never throws, whatever it says, and matches a message that it was made from', () => {
    fc.assert(
      fc.property(fc.object({ maxDepth: 6 }), fc.object({ maxDepth: 6 }), (on, message) => {
        const subscription = readSubscription(on as Record<string, unknown>);
        if (!subscription) return;
        new MatchedMessage(message as Record<string, unknown>).satisfies(subscription);
        expect(new MatchedMessage(onlyFirst(on) as Record<string, unknown>).satisfies(subscription)).toBe(true);
      }),
      { numRuns: RUNS },
    );
  });
});

/** What a subscription asks for, as a message that has it: of a list the first value. */
function onlyFirst(value: unknown): unknown {
  if (Array.isArray(value)) return value[0];
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, onlyFirst(one)]));
}

describe('listeners', () => {
  test('listeners: the index finds what comparing with each subscription finds', () => {
    const value = fc.constantFrom('a', 'b', 'c');
    const message = fc.record({
      sender: value,
      channel: value,
      type: value,
      content: fc.record({ ref: value, x: value }),
    });
    const members = fc.record({ sender: value, channel: fc.array(value), type: value }, { requiredKeys: [] });
    const content = fc.record({ ref: value, x: value }, { requiredKeys: [] });
    const subscription = fc
      .tuple(members, fc.option(content))
      .map(([one, two]) => ({ ...one, ...(two && { content: two }) }));
    fc.assert(
      fc.property(fc.array(subscription, { maxLength: 20 }), message, (subscriptions, found) => {
        const listeners = new Listeners();
        for (const [index, on] of subscriptions.entries()) listeners.add(listener(hash(index), { on: [on] }));
        const wanted = subscriptions.flatMap((on, index) => {
          const read = readSubscription(on);
          return read && new MatchedMessage(found).satisfies(read) ? [hash(index)] : [];
        });
        expect(listeners.matching(found, 10).toSorted()).toEqual(wanted.toSorted());
        for (const index of subscriptions.keys()) listeners.remove(hash(index));
        expect(listeners.matching(found, 10)).toEqual([]);
        expect(listeners.isEmpty).toBe(true);
      }),
      { numRuns: RUNS },
    );
  });

  test('listeners: hear of what comes behind their own message, each program once', () => {
    const listeners = new Listeners();
    listeners.add(listener(hash(1), { seq: 5, on: [{ channel: 'TEST' }, { type: 'POST' }] }));
    expect(listeners.matching(MESSAGE, 5)).toEqual([]);
    expect(listeners.matching(MESSAGE, 6)).toEqual([hash(1)]);
  });

  test('listeners: the newest version that was there hears, and what it listens to counts alone', () => {
    const listeners = new Listeners();
    listeners.add(listener(hash(1), { seq: 1, time: 9, on: [{ channel: 'TEST' }] }));
    listeners.add(listener(hash(2), { seq: 5, time: 2, original: hash(1), on: [{ channel: 'OTHER' }] }));
    listeners.add(listener(hash(3), { seq: 7, time: 1, original: hash(1), on: [{ channel: 'TEST' }] }));
    expect(listeners.matching(MESSAGE, 4)).toEqual([hash(1)]);
    expect(listeners.matching(MESSAGE, 8)).toEqual([]);
    expect(listeners.newest().map(({ itemHash }) => itemHash)).toEqual([hash(2)]);
    listeners.remove(hash(2));
    expect(listeners.matching(MESSAGE, 8)).toEqual([hash(1)]);
    listeners.add(listener(hash(4), { seq: 9, time: 10, original: hash(1), on: [] }));
    expect(listeners.matching(MESSAGE, 10)).toEqual([]);
  });
});
