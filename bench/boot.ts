import type { ItemHash } from '@vmlet/messages';
import * as z from 'zod';
import { forget, publishFile, publishPath, publishProgram, zipOf } from '../tests/framework/publish.ts';
import { officialRuntime } from '../tests/framework/runtime.ts';
import { deployNodeApp } from './deploy.ts';
import { hotRequests } from './hot.ts';
import { type BenchNode, startBenchNode } from './node.ts';
import type { PartOptions, PartResult } from './part.ts';
import { executableHello, FASTAPI_HELLO, NODE_HELLO, PYTHON_HELLO } from './programs.ts';
import { compare, rowOf } from './stats.ts';

const HOT_PER_BOOT = 50;

const statusSchema = z.object({ rssMiB: z.number() });

/** Full boots to the first byte through the gateway, hot requests with and without it, and an idle node's memory. */
export async function benchBoot(options: PartOptions): Promise<PartResult> {
  await using node = await startBenchNode();
  const { rssMiB } = await node.owner('/status', statusSchema);
  const programs = await bootPrograms(node);
  const boots = Object.fromEntries(programs.map(({ row }) => [row, [] as number[]]));
  for (let run = 0; run < options.runs; run++) {
    for (const program of programs) boots[program.row]?.push(await fullBoot(node, program));
    options.tell(`boot ${run + 1} of ${options.runs}`);
  }
  const { deploy, firstAnswer } = await deployNodeApp(node, options);
  const { direct, gateway, bare } = await hotRequests(options.runs * HOT_PER_BOOT);
  const rows = [
    ...Object.entries(boots).map(([name, samples]) => rowOf(name, 'ms', samples)),
    rowOf('deploy-node-20mb', 'ms', deploy),
    rowOf('first-answer-node-20mb', 'ms', firstAnswer),
    rowOf('hot-direct', 'ms', direct),
    rowOf('hot-gateway', 'ms', gateway),
    rowOf('hot-bare-http', 'ms', bare),
    rowOf('node-rss-mb', 'MiB', [rssMiB]),
  ];
  const { ratio, p } = compare(gateway, direct);
  return { backend: node.backend, rows, ratios: { 'hot-gateway/hot-direct': ratio, 'hot-gateway/hot-direct-p': p } };
}

interface BootProgram {
  row: string;
  runtime: ItemHash;
  code: Blob;
  entrypoint: string;
}

/** What is booted: a program of each kind, on its own runtime. */
async function bootPrograms(node: BenchNode): Promise<BootProgram[]> {
  const python = { runtime: node.runtime, entrypoint: 'main:app' };
  const { imagePath, manifest } = await officialRuntime('debian-11-node');
  const nodeRuntime = await publishPath(node, imagePath, manifest);
  return [
    { ...python, row: 'full-boot-python', code: zipOf({ 'main.py': PYTHON_HELLO }) },
    { ...python, row: 'full-boot-fastapi', code: zipOf({ 'main.py': FASTAPI_HELLO }) },
    { row: 'full-boot-node', runtime: nodeRuntime, code: zipOf({ 'server.js': NODE_HELLO }), entrypoint: 'server.js' },
    { row: 'full-boot-executable', runtime: node.runtime, code: await executableHello(), entrypoint: 'hello' },
  ];
}

/** Deploys a program that has never run, asks it once, and takes it away again. In milliseconds to the first byte. */
async function fullBoot(node: BenchNode, { runtime, code: zip, entrypoint }: BootProgram): Promise<number> {
  const code = await publishFile(node, zip);
  const program = await publishProgram(node, { runtime, code, entrypoint });
  const started = performance.now();
  const answer = await fetch(`${node.url}/vm/${program}/`);
  const firstByteMs = performance.now() - started;
  if (answer.status !== 200) throw new Error(`Cannot bench: ${answer.status} ${await answer.text()}`);
  await answer.arrayBuffer();
  await forget(node, [program]);
  return firstByteMs;
}
