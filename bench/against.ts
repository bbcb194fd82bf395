import { mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '@vmlet/host';
import { REPOSITORY } from '../tests/framework/runtime.ts';
import type { PartOptions, PartResult } from './part.ts';
import { roundRobin, type Sampler } from './round-robin.ts';
import { startNodes } from './starts.ts';
import { difference, rowOf } from './stats.ts';
import { vmletStarts } from './vmlet-starts.ts';

/**
 * Starts by the nodes of this tree and of another commit, in turn. What measures them is this tree's: the other commit
 * must have a node that can be brought to temperatures.
 */
export async function benchAgainst(commit: string, options: PartOptions): Promise<PartResult> {
  await using other = await checkOut(commit);
  await using ours = await startNodes();
  await using theirs = await startNodes({ repository: other.path });
  options.tell('deploying and saving programs at both');
  const here = await vmletStarts(ours, options.isWanted);
  const there = await vmletStarts(theirs, options.isWanted);
  const samples = await roundRobin(alternating(here, there), options);
  const rows = Object.entries(samples).map(([name, values]) => rowOf(name, 'ms', values));
  const differences = Object.keys(here).map(
    (row) => [row, difference(samples[row] ?? [], samples[`${row}@other`] ?? [])] as const,
  );
  return { backend: ours.node.backend, rows, ratios: {}, differences: Object.fromEntries(differences) };
}

/** Each row of this tree, and at once behind it the same of the other. */
function alternating(here: Record<string, Sampler>, there: Record<string, Sampler>): Record<string, Sampler> {
  const pairs = Object.entries(here).flatMap(([row, sampler]): [string, Sampler][] => {
    const other = there[row];
    return other
      ? [
          [row, sampler],
          [`${row}@other`, other],
        ]
      : [];
  });
  return Object.fromEntries(pairs);
}

/** A commit in a folder of its own, with this tree's packages from the registry and its own workspaces. */
async function checkOut(commit: string): Promise<AsyncDisposable & { path: string }> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'vmlet-bench-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'other');
  await run('git', ['worktree', 'add', '--detach', path, commit], { cwd: REPOSITORY });
  stack.defer(async () => {
    await run('git', ['worktree', 'remove', '--force', path], { cwd: REPOSITORY });
  });
  await linkPackages(path);
  const owned = stack.move();
  return { path, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** One link a package: a link to the whole of node_modules would lead to this tree's workspaces. */
async function linkPackages(path: string): Promise<void> {
  const from = join(REPOSITORY, 'node_modules');
  const to = join(path, 'node_modules');
  await mkdir(join(to, '@vmlet'), { recursive: true });
  for (const name of await readdir(from)) {
    if (name !== '@vmlet') await symlink(join(from, name), join(to, name));
  }
  for (const name of await readdir(join(path, 'packages'))) {
    await symlink(join(path, 'packages', name), join(to, '@vmlet', name));
  }
  // Where tools/setup has put Node.js, on hosts whose own is too old.
  await symlink(join(REPOSITORY, '.node'), join(path, '.node'));
}
