import { mkdtempDisposable, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deadline } from '../deadline.ts';
import { asVmletError } from '../errors.ts';
import type { Check } from '../telemetry/index.ts';
import { factsOfSurvey, type ImageFacts } from './facts.ts';
import { outputOf } from './guest-command.ts';
import { bootImage, type ImageOptions, SURVEY } from './image-machine.ts';
import type { CheckGroup, ClaimedFacts, Evidence } from './judge/finding.ts';
import { judgeImage } from './judge/image.ts';
import { judgeInterpreters, REFERENCE } from './judge/interpreters.ts';
import { judgeMachine } from './judge/machine.ts';
import { judgeSecurity } from './judge/security.ts';
import { judgeStart } from './judge/start.ts';
import { judgeSystem } from './judge/system.ts';
import { collectSurvey, readSurvey } from './records.ts';
import { type Trial, type TrialLanguage, tryLanguage } from './trial.ts';

/** How long a survey may take: an image may have a million files. In milliseconds. */
const SURVEY_DEADLINE_MS = 5 * 60_000;
const PARTS = ['system', 'machine', 'sockets', 'packages', 'files', 'interpreters'];
const LANGUAGES: readonly TrialLanguage[] = ['python', 'node'];

/** What an image was found to be, and to be worth. */
export interface RuntimeReport {
  groups: CheckGroup[];
  summary: { ok: number; warnings: number; errors: number };
  /** What the reference network's own check asks for; null for what is not there. */
  reference: Record<'os' | (typeof REFERENCE)[number], string | null>;
  /** Undefined where the image did not boot. */
  facts: ImageFacts | undefined;
  /** How long the check took, in milliseconds. */
  tookMs: number;
}

export interface CheckImageOptions extends ImageOptions {
  /** What the image is said to be; without it, it is a runtime for programs with the init of the boot kit. */
  manifest?: ClaimedFacts | undefined;
  onProgress?: (step: string) => void;
}

/**
 * Boots an image and judges it: one machine looks at it from inside, and one for each language runs a small program in it.
 * An image that does not boot is a finding, as all else is.
 * @throws VmletError if this host runs no machines (`QEMU_NOT_STARTED`); the file system's error for a file that is not
 * there; the signal's reason
 */
export async function checkImage(imagePath: string, options: CheckImageOptions): Promise<RuntimeReport> {
  const started = performance.now();
  const { size: sizeBytes } = await stat(imagePath);
  options.onProgress?.('Booting it');
  try {
    const evidence = await gather(imagePath, { ...options, sizeBytes });
    const judges = [judgeImage, judgeSystem, judgeInterpreters, judgeMachine, judgeSecurity, judgeStart];
    return report(
      judges.map((judge) => judge(evidence)),
      { facts: evidence.facts, started },
    );
  } catch (error) {
    options.signal.throwIfAborted();
    const failure = asVmletError(error);
    if (failure.code === 'QEMU_NOT_STARTED' || failure.code === 'INTERNAL') throw error;
    const { message: text, entry, detail } = failure;
    const title = detail === undefined ? text : `${text}\n${detail}`;
    const check: Check = { code: 'BOOT', title: 'Boot', status: 'error', text: title, fix: entry.hint };
    return report([{ title: 'Start', checks: [check] }], { facts: undefined, started });
  }
}

/** What is in an image that was not built here: what its manifest may say. @throws VmletError, as `bootImage` does */
export async function describeImage(imagePath: string, options: ImageOptions): Promise<ImageFacts> {
  const { survey } = await surveyImage(imagePath, { ...options, parts: ['system', 'packages', 'interpreters'] });
  return factsOfSurvey(survey);
}

async function surveyImage(imagePath: string, options: ImageOptions & { parts: readonly string[] }) {
  using limit = deadline(SURVEY_DEADLINE_MS, options.signal);
  await using booted = await bootImage(imagePath, options);
  const { machine } = booted;
  const id = { machine: machine.id };
  const fromMs = Date.now();
  const output = outputOf(machine, [SURVEY, ...options.parts], { signal: limit.signal });
  const survey = readSurvey(await collectSurvey(output, id), id);
  const at = (step: string) => machine.marks.find((mark) => mark.step === step)?.atMs ?? 0;
  return { survey, clock: { fromMs, toMs: Date.now() }, times: { booted: at('booted'), ready: at('ready') } };
}

/** What the image is by its manifest is tried while it is looked at; what is only found then, afterwards. */
async function gather(imagePath: string, options: CheckImageOptions & { sizeBytes: number }): Promise<Evidence> {
  await using work = await mkdtempDisposable(join(tmpdir(), 'vmlet-check-'));
  const { manifest, sizeBytes, onProgress } = options;
  const tryOut = (languages: readonly TrialLanguage[], interpreters: ClaimedFacts['interpreters']) => {
    const trial = {
      ...options,
      manifest: { interpreters: { ...interpreters }, init: manifest?.init ?? 'kit' },
      work: work.path,
    };
    return Promise.all(languages.map((language) => tryLanguage(imagePath, language, trial)));
  };
  const mayTry = manifest?.init !== 'distribution';
  const claimed = LANGUAGES.filter((language) => mayTry && manifest?.interpreters[language] !== undefined);
  onProgress?.('Looking at it from inside');
  const [surveyed, early] = await Promise.all([
    surveyImage(imagePath, { ...options, parts: PARTS }),
    tryOut(claimed, manifest?.interpreters ?? {}),
  ]);
  const facts = factsOfSurvey(surveyed.survey);
  const found = LANGUAGES.filter((one) => mayTry && !claimed.includes(one) && facts.interpreters[one] !== undefined);
  if (found.length > 0) onProgress?.('Running a program in it');
  const late: Trial[] = await tryOut(found, facts.interpreters);
  return { sizeBytes, manifest, facts, ...surveyed, trials: [...early, ...late] };
}

function report(
  groups: CheckGroup[],
  { facts, started }: { facts: ImageFacts | undefined; started: number },
): RuntimeReport {
  const all = groups.flatMap(({ checks }) => checks);
  const count = (status: Check['status']) => all.filter((check) => check.status === status).length;
  const versions = Object.fromEntries(REFERENCE.map((name) => [name, facts?.interpreters[name]?.version ?? null]));
  return {
    groups,
    summary: { ok: count('ok'), warnings: count('warning'), errors: count('error') },
    reference: { os: facts?.os || null, ...versions } as RuntimeReport['reference'],
    facts,
    tookMs: performance.now() - started,
  };
}
