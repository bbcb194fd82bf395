import { type ProgramPlan, RUNTIMES } from './plan.ts';

/** The entrypoint of a program that is what its runtime's image starts by itself. */
export const OWN_COMMAND = '.';

/** A plan for the command that a runtime's image names, with what is in the folder as its data. */
export function ownCommandPlan(reason: string): ProgramPlan {
  const rest = { language: undefined, runtime: RUNTIMES.static, variables: {}, notes: [] };
  return { kind: 'executable', entrypoint: OWN_COMMAND, args: [], reason, ...rest };
}
