import { expect, test } from 'vitest';
import { adviceOn, type StartFacts } from './advice.ts';
import type { StartedFrom } from './phases.ts';
import type { Timeline } from './timelines.ts';

const FACTS: StartFacts = {
  ref: 'c0ffee',
  accelerator: 'kvm',
  maxBoots: 2,
  memoryBudgetMiB: 2048,
  language: 'python',
  entrypoint: 'shop.main:app',
  mayHaveSnapshot: true,
  snapshot: { state: 'ready' },
  isFirst: false,
};

function startOf(from: StartedFrom, times: Record<string, number>): Timeline {
  const steps = Object.entries(times).map(([name, ms]) => ({ name, ms }));
  return { askedMs: 0, from, steps, totalMs: steps.reduce((sum, { ms }) => sum + ms, 0) };
}

const codes = (start: Timeline, facts: Partial<StartFacts> = {}) =>
  adviceOn(start, { ...FACTS, ...facts }).map(({ code }) => code);

test('advice: says nothing of a start that nothing is known to make faster', () => {
  expect(codes(startOf('paused', { queue: 0, resume: 3, app: 2 }))).toEqual([]);
  expect(codes(startOf('spare', { queue: 0, resume: 8, app: 9 }))).toEqual([]);
});

test.each([
  [{ snapshot: { state: 'ready' } }, 'SNAPSHOT_READY'],
  [{ snapshot: { state: 'making' } }, 'SNAPSHOT_BEING_MADE'],
  [{ snapshot: { state: 'off' } }, 'SNAPSHOTS_OFF'],
  [{ snapshot: { state: 'failed', cause: 'the disk is full' } }, 'SNAPSHOT_FAILED'],
  [{ mayHaveSnapshot: false }, 'SNAPSHOT_OPTED_OUT'],
] as const)('advice: says of %j why the start was from no snapshot of its own: %s', (facts, code) => {
  expect(codes(startOf('runtime', { prepare: 1, restore: 1 }), facts)).toEqual([code]);
  expect(codes(startOf('boot', { prepare: 1, boot: 1 }), facts)).toEqual([code]);
  expect(codes(startOf('program', { prepare: 1, restore: 1 }), facts)).toEqual([]);
});

test('advice: names the cause of a snapshot that was not made, and where to read more', () => {
  const [advice] = adviceOn(startOf('runtime', { restore: 1 }), {
    ...FACTS,
    snapshot: { state: 'failed', cause: 'the disk is full' },
  });
  expect(advice?.text).toContain('(the disk is full)');
  expect(advice?.text).toContain('vmlet logs c0ffee');
});

test('advice: says that a full boot was emulated', () => {
  const boot = startOf('boot', { prepare: 1, boot: 2000 });
  expect(codes(boot, { accelerator: 'tcg' })).toContain('EMULATION');
  expect(codes(boot)).not.toContain('EMULATION');
});

test.each([
  [{ queue: 900, restore: 80 }, {}, 'QUEUE'],
  [{ prepare: 900, restore: 80 }, { isFirst: true }, 'PREPARE_ONCE'],
  [{ prepare: 900, restore: 80 }, {}, 'PREPARE_SLOW'],
  [{ restore: 80, load: 900 }, {}, 'LOAD_SLOW'],
  [{ restore: 80, app: 900 }, {}, 'FIRST_ANSWER_SLOW'],
  [{ restore: 80, resume: 5 }, {}, 'RESTORE'],
] as const)('advice: knows which of the steps %j took long (%j): %s', (times, facts, code) => {
  expect(codes(startOf('program', times), facts)).toContain(code);
});

test('advice: leaves steps alone that took a small part, or little time', () => {
  expect(codes(startOf('program', { restore: 20, resume: 20, load: 30 }))).toEqual([]);
  expect(codes(startOf('program', { restore: 900, load: 100 }))).not.toContain('LOAD_SLOW');
});

test.each([
  ['python', /imports.+vmlet exec c0ffee -- python3 -X importtime -c 'import shop\.main'/],
  ['node', /imports.+vmlet deploy --bundle/],
  ['exec', /until it listened/],
] as const)('advice: says of a slow load of %s what to do about it', (language, text) => {
  const advice = adviceOn(startOf('program', { load: 900 }), { ...FACTS, language });
  expect(advice.find(({ code }) => code === 'LOAD_SLOW')?.text).toMatch(text);
});
