import { expect, test } from 'vitest';
import { examine, type Finding } from './health.ts';

const ok: Finding = { status: 'ok', text: 'fine' };
const check = (finding: Finding) => async () => finding;

test('examine: runs the catalogue in its order, and keeps what was found', async () => {
  const warning: Finding = { status: 'warning', text: 'slow', fix: 'wait' };
  expect(
    await examine([
      { code: 'A', title: 'First', check: check(ok) },
      { code: 'B', title: 'Second', dependsOn: ['A'], check: check(warning) },
      { code: 'C', title: 'Third', dependsOn: ['B'], check: check(ok) },
    ]),
  ).toEqual([
    { code: 'A', title: 'First', status: 'ok', text: 'fine' },
    { code: 'B', title: 'Second', status: 'warning', text: 'slow', fix: 'wait' },
    { code: 'C', title: 'Third', status: 'ok', text: 'fine' },
  ]);
});

test('examine: takes a check that throws for an error, and leaves out what depends on it, at any distance', async () => {
  const never = async () => {
    throw new TypeError('Cannot run: its cause has failed');
  };
  const checks = await examine([
    { code: 'A', title: 'First', check: () => Promise.reject(new Error('broken')) },
    { code: 'B', title: 'Second', dependsOn: ['A'], check: never },
    { code: 'C', title: 'Third', dependsOn: ['B'], check: never },
    { code: 'D', title: 'Fourth', check: () => Promise.reject('words') },
  ]);
  expect(checks.map(({ code, status, text }) => [code, status, text])).toEqual([
    ['A', 'error', 'broken'],
    ['D', 'error', 'words'],
  ]);
});
