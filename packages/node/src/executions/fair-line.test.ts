import { expect, test } from 'vitest';
import { FairLine } from './fair-line.ts';

/** Who has had its turn, in order. */
function lineOf(...waiting: [name: string, owner: string, amount: number][]) {
  const line = new FairLine();
  const order: string[] = [];
  const places = waiting.map(([name, owner, amount]) => {
    const place = line.join(owner, amount);
    void place.turn.then(() => order.push(name));
    return place;
  });
  const settled = async () => {
    await Promise.resolve();
    return order.splice(0);
  };
  return { line, places, settled };
}

test('fair line: goes by arrival among those that have the same', async () => {
  const { line, settled } = lineOf(['1', 'a', 1], ['2', 'b', 1], ['3', 'c', 1]);
  expect(line.advance(() => true)).toBe(true);
  expect(line.advance(() => true)).toBe(true);
  expect(await settled()).toEqual(['1', '2']);
  expect(line.length).toBe(1);
});

test('fair line: an owner that asks for a lot does not hold up another', async () => {
  const { line, settled } = lineOf(['a1', 'a', 1], ['a2', 'a', 1], ['a3', 'a', 1], ['b1', 'b', 1]);
  line.advance(() => true);
  line.advance(() => true);
  expect(await settled()).toEqual(['a1', 'b1']);
  line.giveBack('a', 1);
  line.advance(() => true);
  line.advance(() => true);
  expect(await settled()).toEqual(['a2', 'a3']);
  expect(line.advance(() => true)).toBe(false);
});

test('fair line: lets nobody pass the next, and forgets who has left', async () => {
  const { line, places, settled } = lineOf(['large', 'a', 9], ['small', 'b', 1]);
  expect(line.wanted(8)).toBe(10);
  expect(line.advance((amount) => amount < 5)).toBe(false);
  expect(places[0]?.leave()).toBe(true);
  expect(line.advance((amount) => amount < 5)).toBe(true);
  expect(places.map((place) => place.leave())).toEqual([false, false]);
  expect(await settled()).toEqual(['small']);
});
