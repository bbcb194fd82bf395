/** How a program is started: by the launcher of its language, or as a process of its own. */
export type ProgramKind = 'python' | 'node' | 'executable';

/** What is to be started, and how that is known. */
export interface ProgramPlan {
  readonly kind: ProgramKind;
  /** As the PROGRAM message has it: `module:attribute`, a module's path, or an executable's path. */
  readonly entrypoint: string;
  /** Of an executable. */
  readonly args: readonly string[];
  /** What the runtime must have, and whose dependencies are installed. */
  readonly language: 'python' | 'node' | undefined;
  /** Name of the official runtime that suits it. */
  readonly runtime: string;
  /** Why that runtime, where it does not go without saying. */
  readonly runtimeReason?: string | undefined;
  /** For people: where it was found. */
  readonly reason: string;
  /** Variables that the command itself sets. */
  readonly variables: Readonly<Record<string, string>>;
  /** Worth knowing, though nothing is wrong. */
  readonly notes: readonly string[];
}

/** The official runtime for each language, and for what needs nothing but a Linux. */
export const RUNTIMES = { python: 'debian-12-python', node: 'debian-11-node', static: 'minimal' } as const;

/** A plan for a module that the launcher of a language loads. */
export function modulePlan(
  kind: 'python' | 'node',
  entrypoint: string,
  { reason, variables = {}, notes = [] }: { reason: string; variables?: Record<string, string>; notes?: string[] },
): ProgramPlan {
  return { kind, entrypoint, args: [], language: kind, runtime: RUNTIMES[kind], reason, variables, notes };
}
