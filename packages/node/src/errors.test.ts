import { expect, test } from 'vitest';
import { asVmletError, render, toProblem, VmletError } from './errors.ts';

test('render: fills places, and leaves visible what it was not given', () => {
  expect(render('a {x} {y} {x} {1}', { x: '$& {y}', y: 0 })).toBe('a $& {y} 0 $& {y} {1}');
});

test('asVmletError: keeps a catalogue error, and makes INTERNAL of all else, with its cause', () => {
  const known = new VmletError('NODE_STOPPING');
  expect(asVmletError(known)).toBe(known);
  const cause = new RangeError('odd');
  expect(asVmletError(cause)).toMatchObject({ code: 'INTERNAL', cause, message: expect.stringContaining('odd') });
  expect(asVmletError('words')).toMatchObject({ code: 'INTERNAL', message: expect.stringContaining('words') });
  expect(asVmletError(undefined).code).toBe('INTERNAL');
});

test('toProblem: says what, why and what next, and the detail to the owner only', () => {
  const error = new VmletError('PROGRAM_LOAD_FAILED', { operands: { code: 'X' }, detail: 'Traceback' });
  expect(toProblem(error)).toEqual({
    type: 'urn:vmlet:error:PROGRAM_LOAD_FAILED',
    title: 'The program did not load',
    status: 502,
    code: 'PROGRAM_LOAD_FAILED',
    phase: 'load',
    cause: 'Cannot load the program: X, expected it to listen',
    next: expect.any(String),
    retryable: false,
  });
  expect(toProblem(error, { forOwner: true }).detail).toBe('Traceback');
  expect(toProblem(new VmletError('NODE_STOPPING'), { forOwner: true })).not.toHaveProperty('detail');
});
