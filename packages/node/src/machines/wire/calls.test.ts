import { type Duplex, PassThrough } from 'node:stream';
import { WIRE_KINDS } from '@vmlet/guest-protocol/wire';
import { expect, test } from 'vitest';
import { CALL_DOORS, Calls } from './calls.ts';
import type { StreamRequest } from './wire.ts';

/** Lets everything happen that only waits for its turn. */
const turn = () => new Promise<void>((resolve) => void setImmediate(resolve));

/** A wire whose guest is the test: it takes, or refuses, the streams that wait. */
function startCalls() {
  const waiting: PromiseWithResolvers<Duplex>[] = [];
  const asked: StreamRequest[] = [];
  const got: Duplex[] = [];
  const wire = {
    open(request: StreamRequest, signal?: AbortSignal) {
      const opening = Promise.withResolvers<Duplex>();
      asked.push(request);
      waiting.push(opening);
      signal?.addEventListener('abort', () => opening.reject(signal.reason), { once: true });
      return opening.promise;
    },
  };
  const calls = new Calls(wire, (stream) => got.push(stream));
  const take = async () => {
    const stream = new PassThrough();
    waiting.shift()?.resolve(stream);
    await turn();
    return stream;
  };
  return { calls, waiting, asked, got, take };
}

test('calls: some streams wait in the guest, and another takes the place of each that a program has taken', async () => {
  const it = startCalls();
  expect(it.waiting).toHaveLength(4);
  const [first] = it.asked;
  expect(first?.kind).toBe(WIRE_KINDS.CALL);
  expect(first?.payload.readUInt16BE()).toBe(CALL_DOORS.port);
  expect(first?.payload.subarray(2).toString()).toBe(CALL_DOORS.path);
  const stream = await it.take();
  expect(it.got).toEqual([stream]);
  expect(it.waiting).toHaveLength(4);
});

test('calls: a machine has a bounded number at once, and the next when one is over', async () => {
  const it = startCalls();
  const streams: Duplex[] = [];
  while (it.waiting.length > 0) streams.push(await it.take());
  expect(streams).toHaveLength(32);
  streams[0]?.destroy();
  await turn();
  expect(it.waiting).toHaveLength(1);
});

test('calls: a guest that takes streams in a loop is given so many, and no more for the moment', async () => {
  const it = startCalls();
  let taken = 0;
  for (; it.waiting.length > 0 && taken < 10_000; taken++) {
    (await it.take()).destroy();
    await turn();
  }
  expect(taken).toBeGreaterThanOrEqual(256);
  expect(taken).toBeLessThan(2000);
});

test('calls: a guest that refuses one gets no more', async () => {
  const it = startCalls();
  it.waiting[0]?.reject(new Error('refused'));
  await turn();
  expect(await Promise.allSettled(it.waiting.map(({ promise }) => promise))).toHaveLength(4);
  expect(it.asked).toHaveLength(4);
});

test('calls: their end breaks off what waits and what programs hold', async () => {
  const it = startCalls();
  const stream = await it.take();
  it.calls[Symbol.dispose]();
  await turn();
  expect(stream.destroyed).toBe(true);
  const settled = await Promise.allSettled(it.waiting.map(({ promise }) => promise));
  expect(settled.map(({ status }) => status)).toEqual(Array(4).fill('rejected'));
  expect(it.asked).toHaveLength(5);
});
