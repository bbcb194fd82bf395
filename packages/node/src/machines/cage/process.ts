import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { Duplex, type Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { killProcessGroup } from '@vmlet/host';
import { z } from 'zod';

/** How much of a command's stderr its end tells, in bytes. */
const STDERR_TAIL_BYTES = 4096;
/** bwrap and shells tell the signal that ended their child as an exit code above this. */
const SIGNAL_EXIT_CODES = 128;
const infoSchema = z.object({ 'child-pid': z.int().positive() });

/** How a process ended. */
export interface ProcessExit {
  code: number | null;
  signal: NodeJS.Signals | null;
  stderr: string;
}

/** A process that was started, and the sockets that it inherited from descriptor 3 on. */
export interface StartedProcess {
  /** Of the command itself, as the host counts, where something of the cage stands above it. */
  readonly pid: number;
  readonly sockets: readonly Duplex[];
  /** Resolves, never rejects, when the process is gone and its sockets are closed. */
  readonly exited: Promise<ProcessExit>;
  /** Ends it at once. Calling it again, or after the end, does nothing. */
  kill(): void;
}

export interface StartOptions {
  /** How many sockets it inherits, from descriptor 3 on. */
  sockets: number;
  /** Set where bwrap runs the command: it reads its filter from the next descriptor, and tells of its child on the one after. */
  bwrap?: { filter: Buffer } | undefined;
  /** Open files that it inherits, after those. */
  files: readonly number[];
  env: NodeJS.ProcessEnv;
}

/** The numbers that the descriptors of {@link StartOptions} have in the process. */
export function descriptorsOf({ sockets, bwrap }: Pick<StartOptions, 'sockets' | 'bwrap'>) {
  const seccomp = 3 + sockets;
  return { seccomp, info: seccomp + 1, firstFile: bwrap ? seccomp + 2 : seccomp };
}

/**
 * Starts a command in a process group of its own.
 * @throws Error of the system if it does not start, or ends before bwrap has started its child
 */
export async function startProcess(command: readonly string[], options: StartOptions): Promise<StartedProcess> {
  const child = await spawned(command, options);
  const stderr = keepTail(child.stderr);
  let gone = false;
  child.once('exit', () => {
    gone = true;
  });
  const exited = new Promise<ProcessExit>((resolve) => {
    child.once('close', (code, signal) => resolve({ ...endOf(code, signal, options), stderr: stderr() }));
  });
  const sockets = Array.from({ length: options.sockets }, (_, index) => socketOf(child, 3 + index));
  const inner = options.bwrap ? await startedByBwrap(child, { ...options.bwrap, ...descriptorsOf(options) }) : undefined;
  if (options.bwrap && inner === undefined) {
    const exit = await exited;
    throw new CageFailed(exit);
  }
  return {
    pid: inner ?? child.pid ?? 0,
    sockets,
    exited,
    kill() {
      if (gone) return;
      // Process 1 of its namespace takes all others with it; bwrap reaps it and ends, so its end is the end of all.
      if (inner === undefined) killProcessGroup(child.pid);
      else killOne(inner);
    },
  };
}

/** The chain ended before the command was started. */
export class CageFailed extends Error {
  override readonly name = 'CageFailed';
  readonly exit: ProcessExit;
  constructor(exit: ProcessExit) {
    super(exit.stderr || `ended with ${exit.signal ?? `exit code ${exit.code}`}`);
    this.exit = exit;
  }
}

async function spawned([command = '', ...args]: readonly string[], options: StartOptions): Promise<ChildProcess> {
  const { sockets, bwrap, files, env } = options;
  const pipes = sockets + (bwrap ? 2 : 0);
  const child = spawn(command, args, {
    detached: true,
    env,
    stdio: ['ignore', 'ignore', 'pipe', ...Array<'pipe'>(pipes).fill('pipe'), ...files],
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.on('error', reject);
  });
  return child;
}

/** Feeds bwrap its filter, and learns which process it has started; undefined if it ended before that. */
async function startedByBwrap(
  child: ChildProcess,
  bwrap: { filter: Buffer; seccomp: number; info: number },
): Promise<number | undefined> {
  const { filter, seccomp, info } = bwrap;
  socketOf(child, seccomp).end(filter);
  // Both of its processes close it, or are gone: it always ends.
  const said = await text(socketOf(child, info)).catch(() => '');
  if (said === '') return undefined;
  return infoSchema.parse(JSON.parse(said))['child-pid'];
}

function endOf(code: number | null, signal: NodeJS.Signals | null, { bwrap }: StartOptions) {
  if (!bwrap || code === null || code <= SIGNAL_EXIT_CODES) return { code, signal };
  const named = Object.entries(constants.signals).find(([, number]) => number === code - SIGNAL_EXIT_CODES);
  return named ? { code: null, signal: named[0] as NodeJS.Signals } : { code, signal };
}

function killOne(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function socketOf(child: ChildProcess, fd: number): Duplex {
  const sockets: readonly unknown[] = child.stdio;
  const socket = sockets[fd];
  if (!(socket instanceof Duplex)) throw new TypeError(`Cannot use descriptor ${fd}: no socket there, expected one`);
  // Its end is told by the process; an error that nobody listened to would end the node.
  return socket.on('error', () => {});
}

function keepTail(stream: Readable | null): () => string {
  let kept = '';
  stream
    ?.setEncoding('utf8')
    .on('data', (chunk: string) => {
      kept = (kept + chunk).slice(-STDERR_TAIL_BYTES);
    })
    .on('error', () => {});
  return () => kept.trim();
}
