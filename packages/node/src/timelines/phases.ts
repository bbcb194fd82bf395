/** What a machine that answers was made from, the quickest first. */
export type StartedFrom = 'paused' | 'spare' | 'program' | 'runtime' | 'boot';

/** One step of a start, in milliseconds. Its name is a word of lower-case letters. */
export interface Phase {
  name: string;
  ms: number;
}

/** How a machine came to answer: from what, and by which steps, in their order. */
export interface WakePhases {
  from: StartedFrom;
  steps: readonly Phase[];
}

/**
 * A start with `queue` as its first step: what is left of the time that it took in all, for it was spent in lines, for
 * the owner's place, memory and processors. One that has that step is left as it is.
 */
export function withQueue(phases: WakePhases, totalMs: number): WakePhases {
  if (phases.steps.some(({ name }) => name === 'queue')) return phases;
  return { ...phases, steps: [{ name: 'queue', ms: Math.max(0, totalMs - sumMs(phases.steps)) }, ...phases.steps] };
}

/** All steps together, in milliseconds. */
export function sumMs(steps: readonly Phase[]): number {
  return steps.reduce((sum, { ms }) => sum + ms, 0);
}

/** A start in one line, as logs have it. */
export function startText({ from, steps }: WakePhases): string {
  const all = [...steps, { name: 'total', ms: sumMs(steps) }];
  return `Started: ${all.map(({ name, ms }) => `${name} ${Math.round(ms)} ms`).join(', ')}; from ${MADE_FROM[from]}`;
}

const MADE_FROM: Record<StartedFrom, string> = {
  paused: 'its paused machine',
  spare: 'a spare machine',
  program: "the program's snapshot",
  runtime: "the runtime's snapshot",
  boot: 'nothing',
};
