import { expect, test } from 'vitest';
import { type MachineState, TransitionRefused, transition } from './state.ts';

const STATES: MachineState[] = ['starting', 'booted', 'ready', 'loading', 'loaded', 'paused', 'halting', 'ended'];

test('transition: goes forward one step, to halting from where a guest hears it, and to ended from all', () => {
  const allowed = STATES.flatMap((from) =>
    STATES.filter((to) => {
      try {
        return transition(from, to, 'test') === to;
      } catch (error) {
        expect(error).toBeInstanceOf(TransitionRefused);
        return false;
      }
    }).map((to) => `${from} ${to}`),
  );
  expect(allowed).toEqual([
    'starting booted',
    'starting ended',
    'booted ready',
    'booted halting',
    'booted ended',
    'ready loading',
    'ready halting',
    'ready ended',
    'loading loaded',
    'loading halting',
    'loading ended',
    'loaded paused',
    'loaded halting',
    'loaded ended',
    'paused loaded',
    'paused halting',
    'paused ended',
    'halting ended',
  ]);
});

test('transition: names from, to and trigger, when it refuses', () => {
  expect(() => transition('loaded', 'ready', 'ready')).toThrow(
    'Cannot go from "loaded" to "ready" on "ready": expected one of ["paused","prepared","halting","ended"]',
  );
});
