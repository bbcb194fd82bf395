import { entry } from './entry.ts';

/** Errors of names, and of programs that their owners have stopped. */
export const deploymentErrors = {
  RUNTIME_UNKNOWN: entry({
    phase: 'runtime',
    status: 404,
    title: 'No such runtime',
    template: 'Cannot find the runtime "{ref}": none is published here so, expected an item_hash or ADDRESS/NAME',
    hint: 'See what there is with: vmlet runtime ls --network; a name leads to what its publisher has given it',
    fault: 'user',
    retryable: false,
  }),
  PROGRAM_STOPPED: entry({
    phase: 'admission',
    status: 503,
    title: 'The program is stopped',
    template: 'Cannot run the program "{itemHash}": its owner has stopped it, expected it to be started',
    hint: 'If the program is yours, let it run again with: vmlet start',
    fault: 'user',
    retryable: false,
  }),
  PROGRAM_RESTARTING: entry({
    phase: 'admission',
    status: 409,
    title: 'The program is being restarted',
    template: 'Cannot restart the program "{itemHash}": a fresh machine of it is starting, expected none',
    hint: 'Wait until it is up; see: vmlet ls',
    fault: 'user',
    retryable: true,
  }),
  NAME_MALFORMED: entry({
    phase: 'config',
    status: 400,
    title: 'Not a name for a program',
    template:
      'Cannot use the name "{name}": {found}, expected a free DNS label (at most 63 of a-z, 0-9 and "-", no "-" at an end)',
    hint: 'Choose another name with: --name NAME',
    fault: 'user',
    retryable: false,
  }),
  NAME_TAKEN: entry({
    phase: 'admission',
    status: 409,
    title: 'The name is taken',
    template: 'Cannot take the name "{name}": {found}, expected one that is free or of the same owner',
    hint: 'Choose another name; see what is taken with: vmlet name ls',
    fault: 'user',
    retryable: false,
  }),
  NAME_UNKNOWN: entry({
    phase: 'route',
    status: 404,
    title: 'No such name',
    template: 'Cannot find the name "{name}": nothing was deployed under it here, expected a name in use',
    hint: 'See which names there are with: vmlet name ls',
    fault: 'user',
    retryable: false,
  }),
  NAME_VERSION_UNKNOWN: entry({
    phase: 'route',
    status: 404,
    title: 'No such version of the name',
    template: 'Cannot lead the name "{name}" back: {found}, expected one of its versions ({known})',
    hint: 'See its versions with: vmlet name ls',
    fault: 'user',
    retryable: false,
  }),
};
