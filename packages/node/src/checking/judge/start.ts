import type { Check } from '../../telemetry/index.ts';
import type { Trial } from '../trial.ts';
import type { CheckGroup, Evidence } from './finding.ts';

/** Whether a program runs in it, and how long each phase of its start takes. */
export function judgeStart({ times, trials }: Evidence): CheckGroup {
  const boot: Check = {
    ...{ code: 'BOOT', title: 'Boot', status: 'ok' },
    text: `hello after ${ms(times.booted)}, ready after ${ms(times.ready)}`,
  };
  return { title: 'Start', checks: [boot, ...trials.map(judgeTrial)] };
}

function judgeTrial(trial: Trial): Check {
  const name = trial.language === 'python' ? 'Python' : 'Node.js';
  const it = { code: `PROGRAM_${trial.language.toUpperCase()}`, title: `A program in ${name}` };
  if (!trial.ok) {
    const { message, detail, entry } = trial.error;
    return { ...it, status: 'error', text: detail ? `${message}: ${lastLine(detail)}` : message, fix: entry.hint };
  }
  const { booted, ready, loaded, answered } = trial.times;
  const phases = [
    ['kernel and init', booted],
    ['launcher', ready - booted],
    ['program', loaded - ready],
    ['first answer', answered - loaded],
  ] as const;
  const text = `answers after ${ms(answered)}: ${phases.map(([phase, took]) => `${phase} ${ms(took)}`).join(', ')}`;
  return { ...it, status: 'ok', text };
}

function ms(value: number): string {
  return `${Math.round(value)} ms`;
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}
