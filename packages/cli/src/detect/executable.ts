import { CliError } from '../errors.ts';
import type { SourceFile } from '../pack/walk.ts';
import { newestSymbol, type ProgramFile, readProgram } from './elf.ts';
import { type ProgramPlan, RUNTIMES } from './plan.ts';
import type { Sources } from './sources.ts';

/** What an executable is called, the likeliest first. */
const NAMES = ['run.sh', 'main', 'app', 'server', 'program', 'start.sh', 'run', 'start'];
/** Interpreters by the last part of their path, and what they need. */
const INTERPRETERS: Readonly<Record<string, 'python' | 'node' | 'static' | 'debian'>> = {
  sh: 'static',
  ash: 'static',
  busybox: 'static',
  awk: 'static',
  bash: 'debian',
  dash: 'debian',
  perl: 'debian',
  python: 'python',
  python3: 'python',
  node: 'node',
};
/** A loader of another C library than Debian's. */
const MUSL = /ld-musl/;
/** The minor version of Debian 12's C library. */
const DEBIAN_GLIBC = 36;

/** What was looked for, for the error that says that nothing was found. */
export const EXECUTABLE_EXPECTED = `an executable called ${NAMES.slice(0, 5).join(', ')}`;

type Need = Pick<ProgramPlan, 'language' | 'runtime' | 'runtimeReason' | 'notes'>;

/** An executable with a usual name; undefined if there is none. */
export async function findExecutable(sources: Sources): Promise<ProgramPlan | undefined> {
  for (const name of NAMES) {
    const file = sources.get(name);
    if (file === undefined || !(await isProgram(file, sources))) continue;
    return await planExecutable(name, sources, { reason: `${name} is the usual name of an executable` });
  }
  return undefined;
}

/** Whether a file is meant to be run: it may be, it is a binary program, or its first line names an interpreter. */
export async function isProgram(file: SourceFile, sources: Sources): Promise<boolean> {
  if (file.linkTarget !== undefined) return false;
  const head = await sources.head(file.path);
  return readProgram(head) !== undefined || head.toString('latin1', 0, 2) === '#!';
}

/**
 * A plan for an executable of the folder.
 * @throws CliError `EXECUTABLE_UNFIT` for one of another processor or system
 */
export async function planExecutable(
  path: string,
  sources: Sources,
  { reason, args = [], variables = {} }: { reason: string; args?: string[]; variables?: Record<string, string> },
): Promise<ProgramPlan> {
  const head = await sources.head(path);
  const program = readProgram(head);
  const need = program ? await binaryNeeds(path, program, sources) : await scriptNeeds(path, sources);
  return { kind: 'executable', entrypoint: path, args, reason, variables, ...need };
}

async function binaryNeeds(path: string, program: ProgramFile, sources: Sources): Promise<Need> {
  const { format, fits, built, interpreter } = program;
  if (!fits) {
    const next =
      format === 'elf'
        ? 'Build it for x86-64, for example with GOARCH=amd64 or --target x86_64-unknown-linux-musl'
        : 'Build it for Linux, for example with GOOS=linux GOARCH=amd64';
    throw new CliError('EXECUTABLE_UNFIT', { operands: { path, found: built, next } });
  }
  if (interpreter === undefined) {
    return { language: undefined, runtime: RUNTIMES.static, runtimeReason: `${path} is static`, notes: [] };
  }
  const notes = MUSL.test(interpreter)
    ? [`${path} wants "${interpreter}", which no official runtime has: link it statically, or build a runtime with it`]
    : glibcNotes(path, newestSymbol(await sources.bytes(path), /GLIBC_2\.(\d+)/g));
  const runtimeReason = `${path} is linked to shared libraries, which Debian has`;
  return { language: undefined, runtime: RUNTIMES.python, runtimeReason, notes };
}

function glibcNotes(path: string, glibc: number): string[] {
  if (glibc <= DEBIAN_GLIBC) return [];
  const found = `${path} is built with glibc 2.${glibc}, and Debian 12 has 2.${DEBIAN_GLIBC}`;
  return [`${found}: link it statically, or build it on an older system`];
}

/** By the first line of a script, and where that is a plain shell, by what the script calls. */
async function scriptNeeds(path: string, sources: Sources): Promise<Need> {
  const text = await sources.text(path);
  const line = /^#![ \t]*(\S+)(?:[ \t]+(?:-\S+[ \t]+)*(\S+))?/.exec(text);
  const [, command = '', argument = ''] = line ?? [];
  const interpreter = (/\/env$/.test(command) ? argument : command).split('/').at(-1) ?? '';
  const need = INTERPRETERS[interpreter.replace(/(python)[\d.]*$/, '$1')];
  if (need === 'static') return await shellNeeds(text, sources, `${path} is a shell script`);
  const known = need === undefined ? [] : [`${path} is run by ${interpreter}`];
  const runtimeReason = known[0] ?? `"${interpreter || 'its interpreter'}" may be in Debian`;
  if (need === 'python' || need === 'node')
    return { language: need, runtime: RUNTIMES[need], runtimeReason, notes: [] };
  const notes = need === undefined && interpreter !== '' ? [`Debian's smallest system may lack "${interpreter}"`] : [];
  return { language: undefined, runtime: RUNTIMES.python, runtimeReason, notes };
}

/** What commands for a shell need, by the names in them. */
export async function shellNeeds(text: string, sources: Sources, what: string): Promise<Need> {
  const calls = (names: string) => new RegExp(`(?:^|[\\s;&|("'/])(?:${names})(?=$|[\\s;&|)"'])`, 'm').test(text);
  if (calls('node|npm|npx|tsx|yarn|pnpm')) {
    return { language: 'node', runtime: RUNTIMES.node, runtimeReason: `${what} that calls Node.js`, notes: [] };
  }
  if (calls('python3?|pip3?|gunicorn|uvicorn|flask|django-admin')) {
    return { language: 'python', runtime: RUNTIMES.python, runtimeReason: `${what} that calls Python`, notes: [] };
  }
  const dynamic = await dynamicProgram(sources);
  const isDebian = dynamic !== undefined || calls('bash|apt|perl|curl');
  const why =
    dynamic === undefined
      ? isDebian
        ? ' that needs more than busybox'
        : ''
      : `, and ${dynamic} is linked to shared libraries`;
  return {
    language: undefined,
    runtime: isDebian ? RUNTIMES.python : RUNTIMES.static,
    runtimeReason: `${what}${why}`,
    notes: [],
  };
}

/** A program at the top of the folder or in `bin` that is not static. */
async function dynamicProgram(sources: Sources): Promise<string | undefined> {
  for (const { path, isExecutable } of sources.files) {
    if (!isExecutable || !/^(?:bin\/)?[^/]+$/.test(path)) continue;
    if (readProgram(await sources.head(path))?.interpreter !== undefined) return path;
  }
  return undefined;
}
