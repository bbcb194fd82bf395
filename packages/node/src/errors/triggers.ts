import { entry } from './entry.ts';

/** Errors of messages that programs are told of. */
export const triggerErrors = {
  TRIGGER_REFUSED: entry({
    phase: 'serve',
    status: 502,
    title: 'The program did not take the message',
    template: 'Cannot deliver the message: the program answered with status {status}, expected 200 to 299',
    hint: 'If the program is yours, see: vmlet logs',
    fault: 'program',
    retryable: true,
  }),
  TRIGGER_UNKNOWN: entry({
    phase: 'route',
    status: 404,
    title: 'No such dead letter',
    template: 'Cannot send delivery "{id}" again: there is none that is dead, expected one of the list',
    hint: 'See which there are with: vmlet triggers dead',
    fault: 'user',
    retryable: false,
  }),
  PROGRAM_NOT_HTTP: entry({
    phase: 'route',
    status: 404,
    title: 'The program serves no HTTP',
    template: 'Cannot ask the program "{itemHash}": its message says on.http: false, expected a program for visitors',
    hint: 'If the program is yours, publish it with on.http: true; messages reach it all the same',
    fault: 'user',
    retryable: false,
  }),
};
