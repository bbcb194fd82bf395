import { CommandFailed } from '@vmlet/host';
import { MessageError } from '@vmlet/messages';
import { describe, expect, test } from 'vitest';
import { ProblemError, parseProblem } from './client/problem.ts';
import { exitCodeOf, failureOf } from './failure.ts';

const problem = {
  type: 'urn:vmlet:error:PROGRAM_NOT_FOUND',
  title: 'No such program',
  status: 404,
  code: 'PROGRAM_NOT_FOUND',
  phase: 'route',
  cause: 'Cannot find it: not here, expected it',
  next: 'Look again',
  retryable: false,
};

describe('failureOf', () => {
  test('failureOf: passes on what a node says, when it refuses', () => {
    const parsed = parseProblem(JSON.stringify(problem));
    expect(parsed && failureOf(new ProblemError(parsed))).toEqual({
      code: 'PROGRAM_NOT_FOUND',
      phase: 'route',
      cause: problem.cause,
      next: 'Look again',
      exitCode: 3,
    });
    expect(parseProblem('{"type":"about:blank","status":404}')).toBeUndefined();
    expect(parseProblem('<html>')).toBeUndefined();
  });

  test('failureOf: reads errors of the node by shape, when it runs in this process', async () => {
    const { VmletError } = await import('@vmlet/node');
    const error = new VmletError('HOME_LOCKED', { operands: { dir: '/h' }, detail: 'more' });
    expect(failureOf(error)).toMatchObject({ code: 'HOME_LOCKED', phase: 'config', exitCode: 8, detail: 'more' });
    const exposed = new VmletError('KEY_EXPOSED', { operands: { path: '/k', found: '0644' } });
    expect(failureOf(exposed).exitCode).toBe(7);
  });

  test('failureOf: keeps the last words of a command, when one failed', () => {
    const error = new CommandFailed('mmdebstrap', 'exit code 1, expected exit code 0', 'E: no space\n', {
      exitCode: 1,
    });
    expect(failureOf(error)).toMatchObject({ code: 'COMMAND_FAILED', exitCode: 8, detail: 'E: no space' });
  });

  test('failureOf: says what to do, when a build has filled the disk', () => {
    const error = Object.assign(new Error('Cannot build in "/c": its disk is full'), { name: 'DiskFull' });
    expect(failureOf(error)).toEqual({
      ...{ code: 'DISK_FULL', phase: 'runtime', cause: error.message, exitCode: 8 },
      next: 'Free some, or set VMLET_CACHE to a folder on a larger disk',
    });
  });

  test('failureOf: says what to install, when this machine cannot make a box', () => {
    const cause = 'Cannot open a box to build in: no "bwrap"';
    const error = Object.assign(new Error(cause), { name: 'BoxUnavailable', nextStep: 'install "bubblewrap"' });
    expect(failureOf(error)).toEqual({
      ...{ code: 'BOX_UNAVAILABLE', phase: 'host', cause, exitCode: 8 },
      next: 'install "bubblewrap"',
    });
  });

  test('failureOf: names the message format, when a message cannot be made', () => {
    const error = new MessageError('ITEM_CONTENT_TOO_LONG', { found: '3', expected: '2' });
    expect(failureOf(error)).toMatchObject({ code: 'ITEM_CONTENT_TOO_LONG', phase: 'message', exitCode: 7 });
  });

  test('failureOf: is honest, when nobody expected the error', () => {
    expect(failureOf(new TypeError('x is not a function'))).toMatchObject({ code: 'UNEXPECTED', exitCode: 1 });
    expect(failureOf('thrown text')).toMatchObject({ cause: 'thrown text', exitCode: 1 });
  });
});

test.each([
  ['route', 404, 3],
  ['message', 410, 3],
  ['admission', 403, 4],
  ['load', 501, 8],
  ['content', 507, 8],
  ['load', 502, 5],
  ['serve', 504, 5],
  ['code', 502, 7],
  ['content', 413, 7],
  ['boot', 504, 8],
  ['queue', 503, 8],
  ['internal', 500, 1],
])('exitCodeOf: is told by phase and status, when phase is %s and status %d, as %d', (phase, status, exitCode) => {
  expect(exitCodeOf({ code: 'X', phase, status })).toBe(exitCode);
});
