import { execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import type { ItemHash } from '@vmlet/messages';
import { zipSync } from 'fflate';
import { type Publisher, publishFile, publishProgram } from '../framework/publish.ts';

/** The smallest machine that all of them fit in. */
export const VICTIM_MEMORY_MIB = 128;

/** Compiles the program that is killed: static, for the smallest runtime, which boots in a second. */
export async function buildVictim(): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'vmlet-test-'));
  try {
    const path = join(folder, 'victim');
    const source = join(import.meta.dirname, 'victim.c');
    await promisify(execFile)('gcc', [
      '-std=gnu11',
      '-Wall',
      '-Wextra',
      '-Werror',
      '-O2',
      '-static',
      '-s',
      '-o',
      path,
      source,
    ]);
    return await readFile(path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Deployed {
  victim: Uint8Array;
  runtime: ItemHash;
  die?: string;
  /** What it listens to; it gets that at `/told`. */
  onMessage?: Record<string, unknown>[];
}

/** Publishes it as a program that no code image is there of yet. */
export async function deployVictim(to: Publisher, { victim, runtime, die, onMessage }: Deployed): Promise<ItemHash> {
  const nonce = new TextEncoder().encode(randomUUID());
  const code = await publishFile(to, new Blob([zipSync({ victim, nonce }, { level: 1 })]));
  return publishProgram(to, {
    ...{ runtime, code, entrypoint: 'victim', memoryMiB: VICTIM_MEMORY_MIB },
    variables: die ? { DIE: die } : {},
    ...(onMessage ? { onMessage, metadata: { on_message_path: '/told' } } : {}),
  });
}

/** What a client saw: an answer, whole or cut, or none. */
export interface Outcome {
  status?: number;
  /** Of a program's answer; absent where the connection was cut in it. */
  body?: string;
  /** Of the platform's own answer. */
  code?: string;
}

/** Asks on a connection of its own, so that nothing is held open or sent again by a client's pool. */
export function ask(url: string): Promise<Outcome> {
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  request(url, { agent: false }, async (answer) => {
    const status = answer.statusCode ?? 0;
    const body = await text(answer).catch(() => undefined);
    if (body === undefined) return resolve({ status });
    const isProblem = answer.headers['content-type']?.startsWith('application/problem+json');
    resolve({ status, ...(isProblem ? { code: JSON.parse(body).code } : { body }) });
  })
    .on('error', () => resolve({}))
    .end();
  return promise;
}

/** Waits for the end of a process that is not this one's child. */
export async function gone(pid: number): Promise<void> {
  await once(spawn('tail', ['--pid', String(pid), '-s', '0.02', '-f', '/dev/null']), 'exit');
}

/** The name that a process of a machine bears. */
export async function nameOfMachine(pid: number): Promise<string | undefined> {
  const args = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0');
  return args[args.indexOf('-name') + 1];
}

/** How often a program has got a path, by its log, over all its machines. */
export async function timesGot(home: string, program: ItemHash, path: string): Promise<number> {
  const log = await readFile(join(home, 'logs', program, 'program.ndjson'), 'utf8').catch(() => '');
  return log.split('\n').filter((line) => line.includes(`got ${path}"`)).length;
}
