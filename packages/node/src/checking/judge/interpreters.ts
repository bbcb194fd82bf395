import type { Check } from '../../telemetry/index.ts';
import { versionOf } from '../facts.ts';
import type { SurveyRecord } from '../records.ts';
import { type CheckGroup, type Evidence, some } from './finding.ts';

type Interpreter = Extract<SurveyRecord, { kind: 'interpreter' }>;

const NAMES: Readonly<Record<string, string>> = {
  ...{ python: 'Python', node: 'Node.js', perl: 'Perl', ruby: 'Ruby', php: 'PHP', java: 'Java' },
  ...{ rust: 'Rust', go: 'Go', docker: 'Docker', deno: 'Deno', bun: 'Bun' },
};
/** What the reference network's runtime check asks for, beside the system. */
export const REFERENCE = ['python', 'docker', 'node', 'rust', 'go'] as const;

/** Each interpreter: whether it runs, what it lacks, and whether it is what the manifest says. */
export function judgeInterpreters(evidence: Evidence): CheckGroup {
  const found = evidence.survey.all('interpreter');
  const checks = found.map((one) => interpreter(one, evidence));
  const absent = REFERENCE.filter((name) => !found.some((one) => one.name === name)).map((name) => NAMES[name]);
  const none: Check[] =
    absent.length === 0 ? [] : [{ code: 'ABSENT', title: 'Not installed', status: 'ok', text: absent.join(', ') }];
  return { title: 'Interpreters', checks: [...checks, ...claims(evidence), ...none] };
}

function interpreter(one: Interpreter, { survey }: Evidence): Check {
  const it = { code: `INTERPRETER_${one.name.toUpperCase()}`, title: NAMES[one.name] ?? one.name };
  const missing = survey.all('library').filter(({ of }) => of === one.path);
  const count = survey.all('libraries').find(({ of }) => of === one.path)?.resolved ?? 0;
  const broken = survey.all('module').filter(({ of, error }) => of === one.path && error !== '');
  if (!one.hasLoader) {
    const fix = 'Install the C library that it was built for (glibc or musl), or a build for the one that is there';
    return { ...it, status: 'error', text: `${one.path} needs the loader ${one.loader}, which is not there`, fix };
  }
  if (missing.length > 0) {
    const fix = 'Install the packages that these libraries are in';
    const names = some(missing.map(({ name }) => name));
    return { ...it, status: 'error', text: `${one.path} lacks ${names}`, fix };
  }
  const version = versionOf(one);
  if (version === undefined) {
    const fix = `Find out why with: vmlet exec PROGRAM -- ${one.path}`;
    return { ...it, status: 'error', text: `${one.path} does not run: ${howItEnded(one)}`, fix };
  }
  const libraries = count === 0 ? 'static' : `${count} libraries`;
  const text = `${version} (${one.path}), ${libraries}, starts in ${one.milliseconds} ms`;
  if (broken.length === 0) return { ...it, status: 'ok', text };
  const fix = 'Install the packages that these modules are in';
  const names = broken.map(({ name, error }) => `${name} (${error})`);
  return { ...it, status: 'warning', text: `${text}; cannot import ${some(names)}`, fix };
}

function howItEnded({ late, status, output }: Interpreter): string {
  const [line = ''] = output.trim().split('\n');
  const end = late
    ? 'it had not ended in time'
    : status > 128
      ? `ended by signal ${status - 128}`
      : `exit status ${status}`;
  return line === '' ? end : `${end}, "${line}"`;
}

/** What the manifest promises and the image does not hold. */
function claims({ manifest, survey }: Evidence): Check[] {
  const it = { code: 'MANIFEST', title: 'Manifest' };
  const fix = 'Correct the manifest, which nodes believe, or put that interpreter there';
  return Object.entries(manifest?.interpreters ?? {}).flatMap(([name, { path, version }]): Check[] => {
    const all = survey.all('interpreter');
    const found = all.find((one) => one.path === path || one.real === path);
    if (found === undefined) {
      return [{ ...it, status: 'error', text: `says that ${name} is ${path}, which is not found`, fix }];
    }
    const real = versionOf(found);
    if (real === undefined || real === version || version === '') return [];
    return [{ ...it, status: 'error', text: `says that ${path} is ${version}, which is ${real}`, fix }];
  });
}
