/**
 * A machine's life. `hello` is init0's first word, `ready` and `loaded` are the launcher's.
 * Every state may go to `ended`: a process can die at any instruction.
 */
export type MachineState =
  | 'starting'
  | 'booted'
  | 'ready'
  | 'loading'
  | 'loaded'
  | 'paused'
  | 'prepared'
  | 'frozen'
  | 'halting'
  | 'ended';

const transitions: Record<MachineState, readonly MachineState[]> = {
  starting: ['booted', 'frozen', 'ended'],
  booted: ['ready', 'halting', 'ended'],
  ready: ['loading', 'prepared', 'halting', 'ended'],
  loading: ['loaded', 'halting', 'ended'],
  loaded: ['paused', 'prepared', 'halting', 'ended'],
  paused: ['loaded', 'halting', 'ended'],
  prepared: ['frozen', 'ended'],
  frozen: ['ready', 'loaded', 'ended'],
  halting: ['ended'],
  ended: [],
};

/** Raised when a guest or a caller asks for a step that the machine's state does not allow. */
export class TransitionRefused extends Error {
  override readonly name = 'TransitionRefused';
  constructor(from: MachineState, to: MachineState, trigger: string) {
    super(`Cannot go from "${from}" to "${to}" on "${trigger}": expected one of ${JSON.stringify(transitions[from])}`);
  }
}

/** The next state, if the table allows it from `from`. */
export function transition(from: MachineState, to: MachineState, trigger: string): MachineState {
  if (!transitions[from].includes(to)) throw new TransitionRefused(from, to, trigger);
  return to;
}
