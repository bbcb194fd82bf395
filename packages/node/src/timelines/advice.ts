import type { Phase } from './phases.ts';
import type { Timeline } from './timelines.ts';

/** A step is worth a word if it took this share of a start, and this long, in milliseconds. */
const NOTABLE_SHARE = 0.25;
const NOTABLE_MS = 50;

/** What stands in the way of a program's snapshot, or that it is there. */
export type SnapshotState =
  | { state: 'ready' }
  | { state: 'making' }
  | { state: 'off' }
  | { state: 'failed'; cause: string };

/** What a start is judged by. */
export interface StartFacts {
  /** Enough of the item_hash to name the program by in commands. */
  ref: string;
  accelerator: 'kvm' | 'tcg';
  /** Machines that start at the same time. */
  maxBoots: number;
  memoryBudgetMiB: number;
  language: 'python' | 'node' | 'exec';
  entrypoint: string;
  /** Whether its owner lets it have a snapshot. */
  mayHaveSnapshot: boolean;
  /** Of the program's snapshot, now; undefined where nothing is known of it. */
  snapshot: SnapshotState | undefined;
  /** Whether no earlier start of it is known. */
  isFirst: boolean;
}

/** One thing that would make starts faster, or says why nothing will. */
export interface Advice {
  /** Stays the same, for other programs. */
  code: string;
  /** A sentence or two, without a full stop at the end. */
  text: string;
}

/** What would have made a start faster, what would help most first; empty where nothing is known to. */
export function adviceOn(start: Timeline, facts: StartFacts): Advice[] {
  const notable = (name: string) => notableStep(start, name);
  const rules = [
    notable('queue') && queueAdvice(facts),
    onSnapshot(start, facts),
    onAcceleration(start, facts),
    notable('prepare') && prepareAdvice(facts),
    notable('load') && loadAdvice(notable('load'), facts),
    notable('app') && appAdvice(notable('app'), facts),
    notable('restore') && restoreAdvice,
  ];
  return rules.filter((rule) => rule !== undefined);
}

/** A step that took a good part of the start; undefined if it did not. */
function notableStep({ steps, totalMs }: Timeline, name: string): Phase | undefined {
  const step = steps.find((one) => one.name === name);
  return step && step.ms >= NOTABLE_MS && step.ms >= totalMs * NOTABLE_SHARE ? step : undefined;
}

function queueAdvice({ maxBoots, memoryBudgetMiB }: StartFacts): Advice {
  return {
    code: 'QUEUE',
    text:
      `It waited for its turn: ${maxBoots} machines start at the same time here, one for each processor, and all ` +
      `have ${memoryBudgetMiB} MiB together (vmlet up --memory-budget). More of what was short, or fewer programs at once`,
  };
}

/** Why it was not started from its own snapshot, if it was not. */
function onSnapshot({ from }: Timeline, facts: StartFacts): Advice | undefined {
  if (from !== 'boot' && from !== 'runtime') return undefined;
  const { mayHaveSnapshot, snapshot, ref } = facts;
  const from_ = from === 'boot' ? 'from nothing' : "from its runtime's snapshot";
  if (!mayHaveSnapshot) {
    const text = `It started ${from_}: its message has opted out of snapshots (metadata.snapshot is false). Deploy it without that`;
    return { code: 'SNAPSHOT_OPTED_OUT', text };
  }
  switch (snapshot?.state) {
    case 'ready':
      return { code: 'SNAPSHOT_READY', text: `It started ${from_}; its own snapshot is there now, for the next start` };
    case 'making':
      return {
        code: 'SNAPSHOT_BEING_MADE',
        text: `It started ${from_}: its own snapshot is being made. Try again soon`,
      };
    case 'failed':
      return {
        code: 'SNAPSHOT_FAILED',
        text: `It started ${from_}: its own snapshot was not made (${snapshot.cause}). What was tried is in: vmlet logs ${ref}`,
      };
    case 'off':
      return {
        code: 'SNAPSHOTS_OFF',
        text: `It started ${from_}: this node saves no machines (vmlet up --snapshot-budget 0)`,
      };
    case undefined:
      return undefined;
  }
}

function onAcceleration({ from }: Timeline, { accelerator }: StartFacts): Advice | undefined {
  if (from !== 'boot' || accelerator === 'kvm') return undefined;
  const text =
    'Machines are emulated, which makes booting some twenty times slower. Why KVM is not used says: vmlet doctor';
  return { code: 'EMULATION', text };
}

function prepareAdvice({ isFirst }: StartFacts): Advice {
  if (isFirst)
    return { code: 'PREPARE_ONCE', text: 'Its files were checked and packed for machines; that is done once' };
  return {
    code: 'PREPARE_SLOW',
    text: 'Its files were checked before: the disk or the processors of this host were busy',
  };
}

function loadAdvice(step: Phase | undefined, { language, entrypoint, ref }: StartFacts): Advice {
  const took = `Loading "${entrypoint}" took ${Math.round(step?.ms ?? 0)} ms`;
  const lazily = 'Import what few requests need where they need it';
  const [module = ''] = entrypoint.split(':');
  const tool = `vmlet exec ${ref} -- python3 -X importtime -c 'import ${module}'`;
  const texts = {
    python: `${took}, mostly its imports. ${lazily}. Which are slow says: ${tool}`,
    node: `${took}, mostly its imports. ${lazily}, or deploy it as one file (vmlet deploy --bundle)`,
    exec: `${took}: that is how long it took until it listened. Listen first, and prepare the rest after`,
  };
  return { code: 'LOAD_SLOW', text: texts[language] };
}

function appAdvice(step: Phase | undefined, { ref }: StartFacts): Advice {
  const text =
    `The program took ${Math.round(step?.ms ?? 0)} ms to begin its answer. What only the first request needs is better ` +
    `done while it loads. How long the next one takes says: vmlet invoke ${ref} --timing`;
  return { code: 'FIRST_ANSWER_SLOW', text };
}

const restoreAdvice: Advice = {
  code: 'RESTORE',
  text: 'A machine that was asked a short while ago wakes in a few milliseconds: keep it longer with vmlet up --idle',
};
