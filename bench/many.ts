import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '@vmlet/host';
import type { ItemHash } from '@vmlet/messages';
import * as z from 'zod';
import { forget } from '../tests/framework/publish.ts';
import { firstAnswer } from './first-answer.ts';
import type { BenchNode } from './node.ts';
import { PYTHON_HELLO } from './programs.ts';
import type { Samples } from './round-robin.ts';
import { askAt, bringTo, deploySaved } from './temperatures.ts';

const STORM = 100;
/** Spares that are asked at the same moment. */
const BURST = 12;

const recordSchema = z.object({ inputs: z.object({ program: z.object({ itemHash: z.string() }).nullable() }) });

/**
 * Many programs are asked at the same moment, each with a snapshot of its own: a hundred of which no machine runs, and
 * before that twelve that have a spare each. As starts and wakes a second, until the last has its first byte.
 */
export async function storm(node: BenchNode, tell: (text: string) => void): Promise<Samples> {
  const programs: ItemHash[] = [];
  for (let index = 0; index < STORM; index++) {
    const files = { 'main.py': `${PYTHON_HELLO}# ${index}\n` };
    programs.push(await deploySaved(node, { runtime: node.runtime, files, entrypoint: 'main:app' }));
    if (index % 10 === 9) tell(`saved ${index + 1} of ${STORM} programs`);
  }
  const burst = programs.slice(0, BURST);
  for (const itemHash of burst) await bringTo(node, itemHash, 'spare');
  const wakes = await perSecond(burst, (itemHash) => askAt(node, itemHash, 'spare'));
  for (const itemHash of burst) await bringTo(node, itemHash, 'snapshot');
  const starts = await perSecond(programs, (itemHash) => firstAnswer(node.url, `/vm/${itemHash}/`));
  await forget(node, programs);
  return { 'spare-burst-12': [wakes], 'storm-100': [starts] };
}

async function perSecond<T>(items: readonly T[], one: (item: T) => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await Promise.all(items.map(one));
  return items.length / ((performance.now() - started) / 1000);
}

/** Blocks on disk of the snapshot of a Python program, as `du` counts them. */
export async function snapshotDisk(node: BenchNode): Promise<Samples> {
  const files = { 'main.py': `${PYTHON_HELLO}# on disk\n` };
  const itemHash = await deploySaved(node, { runtime: node.runtime, files, entrypoint: 'main:app' });
  const folder = join(node.home, 'snapshots');
  for (const key of await readdir(folder)) {
    const { inputs } = recordSchema.parse(JSON.parse(await readFile(join(folder, key, 'snapshot.json'), 'utf8')));
    if (inputs.program?.itemHash !== itemHash) continue;
    return { 'snapshot-disk-mb': [Number.parseInt(await run('du', ['-sm', join(folder, key)]), 10)] };
  }
  throw new Error('Cannot bench the snapshot on disk: it is not there');
}
