/**
 * An execution's life. `running` takes requests; `paused` has its machine's processors stopped until it is asked; so has a
 * `spare`, which nobody has asked for yet; who is asked then, is `resuming`. `retiring` finishes the requests it has; then
 * its machine is halted.
 */
export type ExecutionState = 'waking' | 'spare' | 'running' | 'paused' | 'resuming' | 'retiring' | 'halting' | 'ended';

const transitions: Record<ExecutionState, readonly ExecutionState[]> = {
  waking: ['running', 'spare', 'halting', 'ended'],
  spare: ['resuming', 'ended'],
  running: ['paused', 'retiring', 'halting', 'ended'],
  paused: ['resuming', 'halting', 'ended'],
  resuming: ['running', 'retiring', 'halting', 'ended'],
  retiring: ['halting', 'ended'],
  halting: ['ended'],
  ended: [],
};

/** All there are. */
export const EXECUTION_STATES: readonly string[] = Object.keys(transitions);

/** The next state; throws where the table does not allow it, for that is a fault of this part. */
export function transition(from: ExecutionState, to: ExecutionState, trigger: string): ExecutionState {
  if (!transitions[from].includes(to)) {
    throw new TypeError(
      `Cannot go from "${from}" to "${to}" on "${trigger}": expected one of ${JSON.stringify(transitions[from])}`,
    );
  }
  return to;
}
