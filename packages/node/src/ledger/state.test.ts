import { expect, test } from 'vitest';
import { type MessageStatus, transition } from './state.ts';

const ALL: MessageStatus[] = ['pending', 'processed', 'rejected', 'forgotten', 'removing', 'removed'];

test('transition: allows the moves of the drawing and no other', () => {
  const moves = ALL.flatMap((from) =>
    ALL.filter((to) => {
      try {
        return transition(from, to, { itemHash: 'h' }) === to;
      } catch {
        return false;
      }
    }).map((to) => `${from} > ${to}`),
  );
  expect(moves).toEqual([
    'pending > pending',
    'pending > processed',
    'pending > rejected',
    'pending > forgotten',
    'processed > forgotten',
    'processed > removing',
    'rejected > pending',
    'removing > processed',
    'removing > forgotten',
    'removing > removed',
    'removed > forgotten',
  ]);
});

test('transition: says from where, to where and what was expected', () => {
  expect(() => transition('forgotten', 'processed', { itemHash: 'abc' })).toThrow(
    "Cannot move the message 'abc' to processed: it is forgotten, expected no further status",
  );
});
