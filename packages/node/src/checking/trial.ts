import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Manifest, makeErofs } from '@vmlet/builder';
import { deadline } from '../deadline.ts';
import { asVmletError, type VmletError } from '../errors.ts';
import { connectTo } from '../executions/index.ts';
import { bootMachine, loadProgram, type Machine } from '../machines/index.ts';
import { initOf, launcherArgv } from '../runtimes/index.ts';
import { GUEST_HTTP_PORT, launcherEnvironment } from '../starts/environment/index.ts';
import { outputOf } from './guest-command.ts';
import { type ImageOptions, SURVEY } from './image-machine.ts';
import { collectSurvey, readSurvey, type Survey } from './records.ts';

/** Languages whose programs are tried; others come as executables, which need nothing of a runtime. */
export type TrialLanguage = 'python' | 'node';

const PROGRAMS = {
  python: {
    file: 'main.py',
    text: `async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"vmlet"})
`,
    entrypoint: 'main:app',
    interface: 'asgi',
  },
  node: {
    file: 'server.js',
    text: `module.exports = (_request, response) => response.end('vmlet');\n`,
    entrypoint: 'server.js',
    interface: null,
  },
} as const;
const MEMORY_MIB = 256;
const MAX_ANSWER_BYTES = 1024;
/** The last drive, behind that of the boot kit where there is one. */
const CODE_DEVICES = { kit: '/dev/vdc', image: '/dev/vdb' };

/** Phases of a start, in milliseconds after QEMU was started. */
export interface TrialTimes {
  booted: number;
  ready: number;
  loaded: number;
  answered: number;
}

/** How a program of a language went in an image. */
export type Trial = { language: TrialLanguage } & (
  | { ok: true; times: TrialTimes; survey: Survey | undefined }
  | { ok: false; error: VmletError }
);

export interface TrialOptions extends ImageOptions {
  manifest: Pick<Manifest, 'interpreters' | 'init'>;
  /** An empty folder for the program's image. */
  work: string;
}

/**
 * Runs a small program in an image as a node would, in a machine of its own: its launcher, the code drive, one request.
 * @throws the signal's reason only
 */
export async function tryLanguage(imagePath: string, language: TrialLanguage, options: TrialOptions): Promise<Trial> {
  try {
    const codeImage = await makeCode(join(options.work, language), language);
    return { language, ok: true, ...(await runProgram({ imagePath, codeImage, language }, options)) };
  } catch (error) {
    options.signal.throwIfAborted();
    return { language, ok: false, error: asVmletError(error) };
  }
}

async function makeCode(work: string, language: TrialLanguage): Promise<string> {
  const { file, text } = PROGRAMS[language];
  await mkdir(join(work, 'code'), { recursive: true });
  await writeFile(join(work, 'code', file), text);
  const image = join(work, 'code.erofs');
  const uuid = '00000000-0000-4000-8000-000000000002';
  await makeErofs(join(work, 'code'), image, { compression: 'none', uuid, fixedTime: 0, allRoot: true });
  return image;
}

interface Files {
  imagePath: string;
  codeImage: string;
  language: TrialLanguage;
}

async function runProgram(
  { imagePath, codeImage, language }: Files,
  { backend, manifest, bootDeadlineMs, signal }: TrialOptions,
): Promise<{ times: TrialTimes; survey: Survey | undefined }> {
  const init = initOf(manifest);
  const spec = {
    ...{ runtimeImage: imagePath, codeImage, init, vcpus: 1, memoryMiB: MEMORY_MIB, internet: false },
    hostname: 'trial',
    launcher: { argv: launcherArgv(language, manifest), env: launcherEnvironment },
  };
  const started = performance.now();
  const machine = await bootMachine(backend, spec, { deadlineMs: bootDeadlineMs, events: { onLog: () => {} }, signal });
  try {
    const { entrypoint, interface: declared } = PROGRAMS[language];
    const code = { device: CODE_DEVICES[init] };
    const load = { code, entrypoint, interface: declared, variables: {}, port: GUEST_HTTP_PORT };
    await loadProgram(machine, load, { deadlineMs: bootDeadlineMs, signal });
    await askOnce(machine, { deadlineMs: bootDeadlineMs, signal });
    const times = { ...timesOf(machine), answered: performance.now() - started };
    // An image's own init has no drive with the survey.
    const survey = init === 'kit' ? await surveyBeside(machine, { deadlineMs: bootDeadlineMs, signal }) : undefined;
    return { times, survey };
  } finally {
    machine.kill();
    await machine.ended;
  }
}

interface Wait {
  deadlineMs: number;
  signal: AbortSignal;
}

async function askOnce(machine: Machine, { deadlineMs, signal }: Wait): Promise<void> {
  using limit = deadline(deadlineMs, signal);
  const pool = connectTo(machine, { port: GUEST_HTTP_PORT });
  try {
    const answer = await pool.request({ method: 'GET', path: '/', signal: limit.signal });
    let body = '';
    for await (const chunk of answer.body) {
      body += String(chunk);
      if (body.length > MAX_ANSWER_BYTES) break;
    }
    if (answer.statusCode !== 200 || body !== 'vmlet') throw new Error(`its answer has status ${answer.statusCode}`);
  } finally {
    await pool.destroy();
  }
}

function timesOf({ marks }: Machine): Omit<TrialTimes, 'answered'> {
  const at = (step: string) => marks.find((mark) => mark.step === step)?.atMs ?? 0;
  return { booted: at('booted'), ready: at('ready'), loaded: at('loaded') };
}

/** What is open and what may be written where a program runs. */
async function surveyBeside(machine: Machine, { deadlineMs, signal }: Wait): Promise<Survey> {
  using limit = deadline(deadlineMs, signal);
  const id = { machine: machine.id };
  const argv = [SURVEY, 'machine', 'sockets'];
  return readSurvey(await collectSurvey(outputOf(machine, argv, { signal: limit.signal }), id), id);
}
