import type { Check } from '../../telemetry/index.ts';
import type { CheckGroup, Evidence } from './finding.ts';

/** How far the clock of a guest may be off beyond the time that it took to ask it, in milliseconds. */
const CLOCK_OFF_MS = 2000;
const STICKY = 0o1000;
const ALL_MAY_WRITE = 0o002;

/** What a machine of the image can do: clock, entropy, places to write to. */
export function judgeMachine(evidence: Evidence): CheckGroup {
  return { title: 'Machine', checks: [clock(evidence), entropy(evidence), writable(evidence), ...code(evidence)] };
}

function clock({ survey, clock: { fromMs, toMs } }: Evidence): Check {
  const it = { code: 'CLOCK', title: 'Clock' };
  const ms = survey.one('clock')?.ms ?? 0;
  const offMs = Math.max(fromMs - ms, ms - toMs, 0);
  if (offMs <= CLOCK_OFF_MS) return { ...it, status: 'ok', text: 'set by the host' };
  const fix = 'Look at what in the image sets the clock, and at the clock of this host';
  return { ...it, status: 'error', text: `${Math.round(offMs / 1000)} s off`, fix };
}

function entropy({ survey }: Evidence): Check {
  const it = { code: 'ENTROPY', title: 'Entropy' };
  const error = survey.one('entropy')?.error ?? 'not asked';
  if (error === '') return { ...it, status: 'ok', text: 'given by the host: getrandom() does not block' };
  return { ...it, status: 'error', text: `getrandom() fails: ${error}`, fix: 'Report it: init0 seeds the generator' };
}

function writable({ survey }: Evidence): Check {
  const it = { code: 'WRITABLE', title: 'Places to write to' };
  const places = survey.all('writable').filter(({ path }) => path !== '/opt/code');
  const closed = places.filter(({ error }) => error !== '');
  const odd = places.find(
    ({ path, mode }) => path === '/var/tmp' && (mode & (STICKY | ALL_MAY_WRITE)) !== (STICKY | ALL_MAY_WRITE),
  );
  if (closed.length > 0) {
    const text = closed.map(({ path, error }) => `${path}: ${error}`).join(', ');
    const fix = 'Make these folders in the image: the machine mounts a writable layer over all of it';
    return { ...it, status: 'error', text, fix };
  }
  const text = places.map(({ path }) => path).join(', ');
  if (odd === undefined) return { ...it, status: 'ok', text };
  const found = `${odd.path} has mode ${odd.mode.toString(8)}, where 1777 lets every user in and none at files of another`;
  return { ...it, status: 'warning', text: found, fix: `chmod 1777 ${odd.path}` };
}

/** The code of a program, as one in this image finds it. */
function code({ trials }: Evidence): Check[] {
  const seen = trials.flatMap((trial) => (trial.ok ? (trial.survey?.all('writable') ?? []) : []));
  const found = seen.find(({ path }) => path === '/opt/code');
  if (found === undefined) return [];
  const it = { code: 'CODE_READ_ONLY', title: 'Code of programs' };
  if (found.error === 'EROFS') return [{ ...it, status: 'ok', text: 'read-only at /opt/code' }];
  const text = found.error === '' ? '/opt/code can be written to' : `/opt/code: ${found.error}`;
  return [{ ...it, status: 'error', text, fix: 'Leave /opt/code to the machine: it is where the code drive goes' }];
}
