import { expect, test } from 'vitest';
import { Semaphore } from './semaphore.ts';

const never = new AbortController().signal;

test('semaphore: lets so many in, and the others in their order', async () => {
  const semaphore = new Semaphore(2);
  const order: number[] = [];
  const first = await semaphore.acquire(never);
  const second = await semaphore.acquire(never);
  const others = [1, 2, 3].map(async (name) => {
    using _place = await semaphore.acquire(never);
    order.push(name);
  });
  await Promise.resolve();
  expect(order).toEqual([]);
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  await Promise.all(others);
  expect(order).toEqual([1, 2, 3]);
  second[Symbol.dispose]();
});

test('semaphore: loses no place, when those that wait give up', async () => {
  const semaphore = new Semaphore(1);
  for (let round = 0; round < 20; round++) {
    const held = await semaphore.acquire(never);
    const client = new AbortController();
    const leaving = semaphore.acquire(client.signal);
    const next = semaphore.acquire(never);
    // Both orders: it leaves before the place is given, and in the moment it is.
    if (round % 2) held[Symbol.dispose]();
    client.abort(new Error('left'));
    held[Symbol.dispose]();
    await leaving.then(
      (place) => place[Symbol.dispose](),
      (error) => expect(error.message).toBe('left'),
    );
    (await next)[Symbol.dispose]();
    await expect(semaphore.acquire(client.signal)).rejects.toThrow('left');
  }
});

test('semaphore: is idle when nobody is in, and not before', async () => {
  const semaphore = new Semaphore(2);
  await semaphore.idle(never);
  const [first, second] = [await semaphore.acquire(never), await semaphore.acquire(never)];
  let isIdle = false;
  const idle = semaphore.idle(never).then(() => {
    isIdle = true;
  });
  const client = new AbortController();
  const leaving = semaphore.idle(client.signal);
  client.abort(new Error('left'));
  await expect(leaving).rejects.toThrow('left');
  first[Symbol.dispose]();
  await semaphore.acquire(never).then((place) => place[Symbol.dispose]());
  expect(isIdle).toBe(false);
  second[Symbol.dispose]();
  await idle;
});
