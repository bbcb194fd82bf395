import { createHash } from 'node:crypto';
import type { ItemHash } from '@vmlet/messages';
import * as z from 'zod';
import { logSays } from '../tests/framework/owner-log.ts';
import { forget, publishFile, publishProgram, zipOf } from '../tests/framework/publish.ts';
import { firstAnswer } from './first-answer.ts';
import type { BenchNode } from './node.ts';

/** From where a request finds its program, the warmest first. */
export type Temperature = 'paused' | 'spare' | 'program' | 'runtime' | 'boot';

/** A program that is benched, and its runtime. */
export interface BenchProgram {
  runtime: ItemHash;
  files: Readonly<Record<string, string>> | Blob;
  entrypoint: string;
}

const anySchema = z.unknown();
/** The log says `Saved` or `Not saved`; what is not saved shows in its first start. */
const SAVED = 'aved for quick starts';

/** Publishes a program that the node may save, and waits until it is. */
export async function deploySaved(node: BenchNode, program: BenchProgram): Promise<ItemHash> {
  const itemHash = await publish(node, program, {});
  await logSays(node.ownerSocket, { program: itemHash, words: SAVED });
  return itemHash;
}

/** Publishes a program. With `isNew` its code is one that the node has not seen. */
export async function publish(
  node: BenchNode,
  { runtime, files, entrypoint }: BenchProgram,
  options: { isNew?: boolean; snapshot?: boolean; name?: string },
): Promise<ItemHash> {
  const mark = options.isNew ? { 'new.txt': createHash('sha256').update(String(performance.now())).digest('hex') } : {};
  const code = await publishFile(node, files instanceof Blob ? files : zipOf({ ...files, ...mark }));
  const { snapshot, name } = options;
  const given = { ...(snapshot === undefined ? {} : { snapshot }), ...(name === undefined ? {} : { name }) };
  return await publishProgram(node, { runtime, code, entrypoint, ...given });
}

/** Brings a program to where the next request is to find it: nothing runs that this temperature does not have. */
export async function bringTo(node: BenchNode, itemHash: ItemHash, to: 'paused' | 'spare' | 'snapshot'): Promise<void> {
  await node.owner(`/programs/${itemHash}/cool?to=${to}`, anySchema, 'POST');
}

/** Asks a program that was brought to a temperature, and makes sure that it was found there. In milliseconds. */
export async function askAt(node: BenchNode, itemHash: ItemHash, at: Temperature): Promise<number> {
  const { ms, from } = await firstAnswer(node.url, `/vm/${itemHash}/`);
  // A row must not show another start than its name says.
  if (from !== at) throw new Error(`Cannot bench: the machine was made from "${from}", expected "${at}"`);
  return ms;
}

/** Asks a program that has never run, under a code that the node has not seen, and takes it away again. */
export async function askNew(node: BenchNode, program: BenchProgram, at: 'runtime' | 'boot'): Promise<number> {
  // Not saved: what is made in the background would run beside the rows that come after this one.
  const itemHash = await publish(node, program, { isNew: true, snapshot: false });
  const ms = await askAt(node, itemHash, at);
  await forget(node, [itemHash]);
  return ms;
}
