import type { ItemHash } from '@vmlet/messages';
import { publishPath } from '../tests/framework/publish.ts';
import { officialRuntime } from '../tests/framework/runtime.ts';
import type { BenchNode } from './node.ts';
import { executableHello, FASTAPI_HELLO, NODE_HELLO, PYTHON_HELLO } from './programs.ts';
import type { Sampler } from './round-robin.ts';
import { askAt, askNew, type BenchProgram, bringTo, deploySaved, type Temperature } from './temperatures.ts';

/** Requests that a machine answers before it is paused and counts. */
const SERVED_BEFORE = 3;

type Kind = 'python' | 'fastapi' | 'node' | 'executable';

/** Which program is asked, and where it is found. */
const ROWS: Record<string, [Kind, Temperature]> = {
  'paused-python': ['python', 'paused'],
  'paused-node': ['node', 'paused'],
  'spare-python': ['python', 'spare'],
  'spare-node': ['node', 'spare'],
  'program-level-python': ['python', 'program'],
  'program-level-node': ['node', 'program'],
  'program-level-fastapi': ['fastapi', 'program'],
  'program-level-executable': ['executable', 'program'],
  'runtime-level-python': ['python', 'runtime'],
  'full-boot-python': ['python', 'boot'],
};

export interface StartNodes {
  /** Has snapshots; its programs are saved here. */
  node: BenchNode;
  /** Has none: each of its starts is a boot. */
  booting: BenchNode;
}

/**
 * Starts through a gateway, from every temperature, by row. Deploys and saves what the rows need.
 * @param isWanted whether a row is to be measured
 */
export async function vmletStarts(
  { node, booting }: StartNodes,
  isWanted: (row: string) => boolean,
): Promise<Record<string, Sampler>> {
  const rows = Object.entries(ROWS).filter(([row]) => isWanted(row));
  const programs = await programsOf(node);
  const saved: Partial<Record<Kind, ItemHash>> = {};
  for (const [, [kind, at]] of rows) {
    const isSaved = at === 'paused' || at === 'spare' || at === 'program';
    if (isSaved) saved[kind] ??= await deploySaved(node, programs[kind]);
  }
  const samplers = rows.map(([row, [kind, at]]): [string, Sampler] => {
    const program = programs[kind];
    if (at === 'boot') return [row, () => askNew(booting, { ...program, runtime: booting.runtime }, 'boot')];
    const itemHash = saved[kind];
    if (at === 'runtime' || itemHash === undefined) return [row, () => askNew(node, program, 'runtime')];
    return [row, at === 'paused' ? () => wakePaused(node, itemHash) : () => wakeCold(node, itemHash, at)];
  });
  return Object.fromEntries(samplers);
}

async function wakeCold(node: BenchNode, itemHash: ItemHash, at: 'spare' | 'program'): Promise<number> {
  await bringTo(node, itemHash, at === 'program' ? 'snapshot' : at);
  const ms = await askAt(node, itemHash, at);
  // Rows after this one find nothing of it: a machine that is kept has a share of the processors.
  await bringTo(node, itemHash, 'snapshot');
  return ms;
}

async function wakePaused(node: BenchNode, itemHash: ItemHash): Promise<number> {
  // It has served before: one that was only started would be no more than a spare.
  for (let request = 0; request < SERVED_BEFORE; request++) {
    await bringTo(node, itemHash, 'paused');
    await askAt(node, itemHash, 'paused');
  }
  await bringTo(node, itemHash, 'paused');
  return await askAt(node, itemHash, 'paused');
}

async function programsOf(node: BenchNode): Promise<Record<Kind, BenchProgram>> {
  const { imagePath, manifest } = await officialRuntime('debian-11-node');
  const nodeRuntime = await publishPath(node, imagePath, manifest);
  const python = { runtime: node.runtime, entrypoint: 'main:app' };
  return {
    python: { ...python, files: { 'main.py': PYTHON_HELLO } },
    fastapi: { ...python, files: { 'main.py': FASTAPI_HELLO } },
    node: { runtime: nodeRuntime, files: { 'server.js': NODE_HELLO }, entrypoint: 'server.js' },
    executable: { runtime: node.runtime, files: await executableHello(), entrypoint: 'hello' },
  };
}
