import { ProtocolError } from '@vmlet/guest-protocol';
import { deadline, orAborted } from '../deadline.ts';
import { VmletError } from '../errors.ts';
import { failpoint } from '../failpoint.ts';
import type { LoadRequest, Machine } from './machine.ts';
import type { CallHandler } from './wire/calls.ts';

export interface LoadOptions {
  deadlineMs: number;
  /** Answers the program's calls; without it there is nothing to call. */
  onCall?: CallHandler | undefined;
  signal: AbortSignal;
}

/**
 * Loads a program into a machine that is `ready`, and waits until its listener is up.
 * A machine whose program does not load is ended: its memory holds half a program.
 * @throws VmletError `PROGRAM_UNSUPPORTED` for a request that fits no frame, `PROGRAM_LOAD_FAILED`, `PROGRAM_EXITED_LOADING`, `PROGRAM_LOAD_TIMEOUT`, or why the machine ended
 */
export async function loadProgram(machine: Machine, request: LoadRequest, options: LoadOptions): Promise<void> {
  using limit = deadline(options.deadlineMs, options.signal);
  try {
    // First: what a program does as it is imported may call already.
    if (options.onCall) machine.takeCalls(options.onCall);
    machine.load(request);
    await failpoint('load.sent');
    await orAborted(machine.reached('loaded'), limit.signal);
    await failpoint('machine.loaded');
  } catch (error) {
    machine.kill();
    await machine.ended;
    if (error instanceof ProtocolError) throw unsendable(error);
    if (!limit.expired) throw error;
    throw new VmletError('PROGRAM_LOAD_TIMEOUT', {
      operands: { ms: limit.ms, entrypoint: request.entrypoint },
      detail: machine.consoleTail(),
    });
  }
}

/** A message may hold more variables than a frame does, or text that is no UTF-8. */
function unsendable(cause: ProtocolError): VmletError {
  const found = `an entrypoint or variables that no machine takes ("${cause.message}")`;
  return new VmletError('PROGRAM_UNSUPPORTED', { operands: { found }, cause });
}
