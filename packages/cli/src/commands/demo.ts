import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import { broken, readText, send } from '../client/http.ts';
import { OwnerClient } from '../client/owner.ts';
import { coolProgram, type Temperature } from '../client/owner-lifecycle.ts';
import { ProblemError, parseProblem } from '../client/problem.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { explainFailure } from '../invoke/explain.ts';
import { parseServerTiming } from '../invoke/timing.ts';
import { wholeNumber } from '../option-values.ts';
import type { Output } from '../output.ts';
import { deployFolder } from '../publish/deploy.ts';
import { loadSigner } from '../publish/owner-key.ts';
import { clean, formatMs, formatTable } from '../terminal-text.ts';
import { DEPLOY_DEFAULTS } from './deploy.ts';

/** What is shown: one small program of each language. Names are those of the JSON answer. */
const EXAMPLES = { python: 'python-hello', node: 'node-hello' } as const;
const EXAMPLES_FOLDER = fileURLToPath(new URL('../../../../examples', import.meta.url));
const HOT_CALLS = 20;

interface DemoOptions {
  keep?: boolean;
  runs: number;
}

/** `vmlet demo`. */
export function registerDemo({ program, run }: Cli): void {
  const command = program
    .command('demo')
    .summary('deploy two examples to a node of its own and call them')
    .description(
      'Builds the runtimes and the boot kit if they are not in the cache, starts a node with a home of its own, deploys ' +
        'examples/python-hello and examples/node-hello, calls each from all its temperatures, and shows where ' +
        'the time goes. Leaves nothing running and nothing behind but the cache.',
    )
    .option('--keep', 'leave the node running until Ctrl-C, and keep its home')
    .option(
      '--runs <n>',
      'how many hot calls to take the median of',
      wholeNumber('--runs', { min: 1, max: 10_000 }),
      HOT_CALLS,
    );
  addExamples(command, [
    ['vmlet demo', 'the first thing to try'],
    ['vmlet demo --keep', 'and look around while it runs'],
    ['vmlet demo --json | tail -n 1 | jq .python.savedMs', 'the start from a snapshot, in milliseconds'],
  ]);
  command.action(async (options: DemoOptions, self: Command) => {
    await run(self, (context) => demo(options, context));
  });
}

async function demo({ keep = false, runs }: DemoOptions, context: Context): Promise<undefined> {
  const { output, paths, signal } = context;
  const folder = await mkdtemp(join(tmpdir(), 'vmlet-demo-'));
  await using stack = new AsyncDisposableStack();
  if (!keep) stack.defer(() => rm(folder, { recursive: true, force: true }));
  const own = { home: join(folder, 'home'), config: join(folder, 'config'), cache: paths.cache };
  output.step('Starting a node');
  const { startNode } = await import('@vmlet/node');
  const node = stack.use(
    await startNode({
      ...own,
      listen: { host: '127.0.0.1', port: 0 },
      allow: 'own',
      signal,
      onProgress: (step, detail) => output.step(step, detail),
    }),
  );
  const deploy = { node, paths: own, output, signal, signer: () => loadSigner(own.config, output) };
  const shown: [Language, Shown][] = [];
  for (const [language, example] of Object.entries(EXAMPLES) as [Language, string][]) {
    const { memory: memoryMiB, ...rest } = DEPLOY_DEFAULTS;
    const folder = join(EXAMPLES_FOLDER, example);
    const { itemHash, url, hostUrl } = await deployFolder({ folder, memoryMiB, ...rest, variables: {} }, deploy);
    const { url: nodeUrl, ownerSocket } = node;
    shown.push([
      language,
      { ...(await measure({ url: nodeUrl, itemHash, runs, ownerSocket }, context)), url, hostUrl },
    ]);
  }
  show(shown, { backend: node.backend, output });
  if (keep) {
    const urls = shown.map(([, { url, hostUrl }]) => hostUrl ?? url);
    output.note(`The node runs until Ctrl-C: ${urls.join(' and ')}`);
    output.note(
      `Its home stays in ${folder}. Commands reach it with: VMLET_HOME=${own.home} VMLET_CONFIG=${own.config} vmlet ls`,
    );
    if (!signal.aborted) await once(signal, 'abort');
  }
  output.step('Stopping the node');
  await stack.disposeAsync();
  output.settle();
}

interface Call {
  status: number;
  body: string;
  ms: number;
  phases: Record<string, number>;
}

interface Measured {
  /** The first request ever, which boots a machine. */
  cold: Call;
  /** One that finds nothing but the program's snapshot. */
  saved: Call;
  /** One that finds a machine whose processors are stopped. */
  pausedMs: number;
  hotMs: number;
}

type Language = keyof typeof EXAMPLES;

interface Shown extends Measured {
  url: string;
  hostUrl: string | null;
}

interface Target {
  url: string;
  itemHash: string;
  runs: number;
  ownerSocket: string;
}

async function measure(target: Target, { output, signal }: Context): Promise<Measured> {
  output.step('Calling it for the first time');
  const cold = await call(target, signal);
  output.step('Calling it again', `${target.runs} times`);
  const hot: number[] = [];
  for (let index = 0; index < target.runs; index++) hot.push((await call(target, signal)).ms);
  output.step('Calling it while its machine is paused', `${target.runs} times`);
  const paused: number[] = [];
  const owner = new OwnerClient(target.ownerSocket);
  const cool = (to: Temperature) => coolProgram(owner, target.itemHash, { to, signal });
  for (let index = 0; index < target.runs; index++) {
    await cool('paused');
    paused.push((await call(target, signal)).ms);
  }
  output.step('Saving its machine');
  await cool('snapshot');
  await saved(owner, target.itemHash, signal);
  output.step('Calling it while there is nothing but its snapshot');
  const fromSnapshot = await call(target, signal);
  output.settle();
  return { cold, saved: fromSnapshot, pausedMs: median(paused), hotMs: median(hot) };
}

/** Waits until the node has saved a program for quick starts. */
async function saved(owner: OwnerClient, itemHash: string, signal: AbortSignal): Promise<void> {
  for await (const { stream, text } of owner.logs(itemHash, { lines: 1000, follow: true, signal })) {
    if (stream === 'platform' && /^(Not s|S)aved for quick starts/.test(text)) return;
  }
}

async function call({ url, itemHash, ownerSocket }: Target, signal: AbortSignal): Promise<Call> {
  const origin = { url };
  const sinceMs = Date.now();
  const started = performance.now();
  const answer = await send(origin, { path: `/vm/${itemHash}/`, headers: { accept: '*/*' }, signal });
  const body = await readText(answer, { origin, signal });
  const ms = performance.now() - started;
  const status = answer.statusCode ?? 0;
  if (status !== 200) {
    const problem = parseProblem(body);
    if (problem === undefined) throw new CliError('DEMO_FAILED', { operands: { status }, detail: body });
    const node = { url, ownerSocket };
    throw await explainFailure(new ProblemError(problem), { node, itemHash, sinceMs, signal });
  }
  if (!answer.complete) throw broken(origin, 'its end is missing');
  return { status, body, ms, phases: parseServerTiming(answer.headers['server-timing']) };
}

function show(shown: readonly [Language, Shown][], { backend, output }: { backend: string; output: Output }): void {
  if (output.isJson) {
    output.json({ ...Object.fromEntries(shown.map(([language, measured]) => [language, asJson(measured)])), backend });
    return;
  }
  for (const [, measured] of shown) showOne(measured, output);
  output.line(`Machines run on ${backend === 'kvm' ? 'KVM' : 'emulation (TCG): KVM does not work on this host'}`);
}

function asJson({ cold: { status, body, phases, ms }, saved, pausedMs, hotMs }: Measured) {
  const rounded = (value: number) => Math.round(value * 100) / 100;
  const times = { coldMs: rounded(ms), savedMs: rounded(saved.ms), pausedMs: rounded(pausedMs), hotMs: rounded(hotMs) };
  return { status, body, ...times, phases, savedPhases: saved.phases };
}

function showOne({ cold, saved, pausedMs, hotMs, url }: Shown, output: Output): void {
  output.line(`GET ${url}`);
  for (const line of clean(cold.body).trimEnd().split('\n')) output.line(`  ${line}`);
  output.line('');
  // The total is told as the client sees it.
  const names = ['queue', 'prepare', 'boot', 'restore', 'resume', 'load', 'app'];
  const cell = ({ phases }: Call, name: string) => (phases[name] === undefined ? '-' : formatMs(phases[name]));
  const rows = names.map((name) => [name, cell(cold, name), cell(saved, name), '', '']);
  const totals = [cold.ms, saved.ms, pausedMs, hotMs].map(formatMs);
  const lines = formatTable([['', 'first', 'from snapshot', 'paused', 'hot'], ...rows, ['total', ...totals]]);
  for (const line of lines) output.line(line);
  output.line('');
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
}
