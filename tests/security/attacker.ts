import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { run } from '@vmlet/host';
import type { Cage, EgressOptions } from '../../packages/node/src/machines/cage/index.ts';

/** How each attack went: "ok", or the number of the error that the kernel gave. */
export type Report = Record<string, string>;

/** The compiled attacker; removed when disposed of. */
export interface Attacker extends AsyncDisposable {
  path: string;
}

export async function compileAttacker(): Promise<Attacker> {
  const folder = await mkdtemp(join(tmpdir(), 'vmlet-test-'));
  const path = join(folder, 'attacker');
  await run('gcc', ['-static', '-O1', '-o', path, join(import.meta.dirname, 'attacker.c')]);
  return { path, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

export interface AttackOptions {
  memoryMiB?: number;
  images?: string[];
  internet?: EgressOptions;
}

/** Runs the attacker in a cage as QEMU is run in one, to its end. */
export async function attack(cage: Cage, path: string, { args, ...options }: AttackOptions & { args: string[] }) {
  const caged = await cage.start({
    id: `attack-${process.pid}`,
    memoryMiB: options.memoryMiB ?? 64,
    ...{ cpus: 1, sockets: 1, kvm: false, internet: options.internet },
    files: [path],
    images: options.images ?? [],
    command: ({ files: [attacker = ''] }) => [attacker, ...args],
  });
  const [said = '', exit] = await Promise.all([caged.sockets[0] ? text(caged.sockets[0]) : '', caged.exited]);
  const report: Report = Object.fromEntries(
    said
      .trim()
      .split('\n')
      .map((line) => [line.slice(0, line.lastIndexOf(' ')), line.slice(line.lastIndexOf(' ') + 1)]),
  );
  return { report, exit };
}
