import { deadline, orAborted } from '../deadline.ts';
import { VmletError } from '../errors.ts';
import type { LoadRequest, Machine } from './machine.ts';

/**
 * Loads a program into a machine that is `ready`, and waits until its listener is up.
 * A machine whose program does not load is ended: its memory holds half a program.
 * @throws VmletError `PROGRAM_LOAD_FAILED`, `PROGRAM_EXITED_LOADING`, `PROGRAM_LOAD_TIMEOUT`, or why the machine ended
 */
export async function loadProgram(
  machine: Machine,
  request: LoadRequest,
  options: { deadlineMs: number; signal: AbortSignal },
): Promise<void> {
  using limit = deadline(options.deadlineMs, options.signal);
  try {
    machine.load(request);
    await orAborted(machine.reached('loaded'), limit.signal);
  } catch (error) {
    const failure = limit.expired
      ? new VmletError('PROGRAM_LOAD_TIMEOUT', {
          operands: { ms: limit.ms, entrypoint: request.entrypoint },
          detail: machine.consoleTail(),
        })
      : error;
    machine.kill();
    await machine.ended;
    throw failure;
  }
}
