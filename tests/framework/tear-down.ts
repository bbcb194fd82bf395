import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { chmod, mkdtemp, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll } from 'vitest';

/** How long a process that was told to end may take, in seconds: longer than any takes, shorter than anyone waits. */
const ENDING_SECONDS = 10;
/** Made by Node.js itself, in the place of its choice, when npm asks for it. */
const OF_NODE = 'node-compile-cache';
const outer = tmpdir();
let folder = '';

/**
 * Around each file of tests, whatever it is about: it leaves no process of its own running and no temporary file. Vitest
 * gives each a process, and runs what is said here before all that the file says, and after it.
 */
beforeAll(async () => {
  folder = await mkdtemp(join(outer, 'vmlet-t-'));
  // Some tests drop to another user, who finds what is told by its path.
  await chmod(folder, 0o711);
  process.env.TMPDIR = folder;
});

afterAll(async () => {
  process.env.TMPDIR = outer;
  const files = (await readdir(folder)).filter((name) => name !== OF_NODE);
  rmSync(folder, { recursive: true, force: true });
  const running = await runningBelow(process.pid);
  for (const { pid } of running) process.kill(pid, 'SIGKILL');
  const left = running.map(({ pid, command }) => `process ${pid} (${command})`);
  left.push(...files.map((name) => `temporary file ${name}`));
  if (left.length > 0) throw new Error(`Something is left of these tests: ${left.join(', ')}`);
});

interface Running {
  pid: number;
  command: string;
}

/** Processes that a process has started, and those have, that do not end by themselves. */
async function runningBelow(parent: number): Promise<Running[]> {
  const found = below(parent);
  await Promise.all(found.map(({ pid }) => ended(pid)));
  return below(parent).filter(({ pid }) => found.some((other) => other.pid === pid));
}

/** Waits for the end of a process; not for ever. */
async function ended(pid: number): Promise<void> {
  const wait = ['tail', '--pid', String(pid), '-s', '0.05', '-f', '/dev/null'];
  // Its exit code says that it still runs, which is looked at anyway.
  await promisify(execFile)('timeout', [String(ENDING_SECONDS), ...wait]).catch(() => {});
}

function below(parent: number): Running[] {
  const all = readdirSync('/proc').flatMap((entry) => (/^\d+$/.test(entry) ? (processOf(entry) ?? []) : []));
  const found = new Set([parent]);
  // A parent may have the greater number, so once over the list is not enough.
  for (let before = 0; before !== found.size; ) {
    before = found.size;
    for (const { pid, ppid } of all) if (found.has(ppid)) found.add(pid);
  }
  return all.filter(({ pid, isDead }) => pid !== parent && found.has(pid) && !isDead);
}

function processOf(entry: string) {
  try {
    // `pid (comm) state ppid ...`, where comm may have spaces and brackets.
    const stat = readFileSync(`/proc/${entry}/stat`, 'latin1');
    const [state = '', ppid = ''] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const command = readFileSync(`/proc/${entry}/cmdline`, 'utf8').replaceAll('\0', ' ').slice(0, 200);
    return { pid: Number(entry), ppid: Number(ppid), command, isDead: state === 'Z' };
  } catch {
    // It has ended meanwhile.
    return undefined;
  }
}
