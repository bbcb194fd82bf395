import type { Check } from '../../telemetry/index.ts';
import type { ImageFacts } from '../facts.ts';
import type { Survey, SurveyRecord } from '../records.ts';
import type { Trial } from '../trial.ts';

/** What is known of an image when it is judged. */
export interface Evidence {
  /** Of the image's file. */
  sizeBytes: number;
  /** What its manifest says, where there is one. */
  manifest: ClaimedFacts | undefined;
  facts: ImageFacts;
  survey: Survey;
  /** When the survey's machine was up, in milliseconds after its process was started. */
  times: { booted: number; ready: number };
  /** When the clock of the guest was read, by the host's, in milliseconds: between these. */
  clock: { fromMs: number; toMs: number };
  trials: Trial[];
}

/** The part of a manifest that an image can be held to. */
export interface ClaimedFacts {
  init: 'kit' | 'image' | 'distribution';
  os: string;
  interpreters: Readonly<Record<string, { path: string; version: string }>>;
}

/** Findings of one kind, under a title. */
export interface CheckGroup {
  title: string;
  checks: Check[];
}

export const MIB = 1024 * 1024;
/** Paths that one finding names: the rest is counted. */
const MAX_NAMED = 5;

/** A size for people. */
export function mib(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`;
}

/** Some of a list, and how many more there are. */
export function some(names: readonly string[], count: number = names.length): string {
  const shown = names.slice(0, MAX_NAMED);
  return count > shown.length ? `${shown.join(', ')} and ${count - shown.length} more` : shown.join(', ');
}

/** A path of the image, as text that a list can hold. */
export function shown(path: string): string {
  return JSON.stringify(`/${path}`).slice(1, -1);
}

/** Files that were found for a reason: those that are named, and how many there are. */
export function filesOf(
  survey: Survey,
  why: Extract<SurveyRecord, { kind: 'files' }>['why'],
): { named: Extract<SurveyRecord, { kind: 'file' }>[]; count: number } {
  const named = survey.all('file').filter((file) => file.why === why);
  const said = survey.all('files').find((files) => files.why === why)?.count ?? 0;
  return { named, count: Math.max(said, named.length) };
}
