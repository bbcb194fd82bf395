import { type ChildProcess, spawn } from 'node:child_process';
import { Duplex, type Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { killProcessGroup } from '@vmlet/host';

/** How much of a command's stderr its end tells, in bytes. */
const STDERR_TAIL_BYTES = 4096;
const FIRST_SOCKET_FD = 3;
/** How a process ended. */
export interface ProcessExit {
  code: number | null;
  signal: NodeJS.Signals | null;
  stderr: string;
}

/** A process that was started, and the sockets that it inherited from descriptor 3 on. */
export interface StartedProcess {
  /** Of the command itself, as the host counts. */
  readonly pid: number;
  readonly sockets: readonly Duplex[];
  /** Whether its end has been seen: it has closed a socket, or has exited. What is left of it is still being taken away. */
  isOver(): boolean;
  /** Resolves, never rejects, when the process is gone and its sockets are closed. */
  readonly exited: Promise<ProcessExit>;
  /** Ends it at once. Calling it again, or after the end, does nothing. */
  kill(): void;
}

export interface StartOptions {
  /** How many sockets it inherits, from descriptor 3 on. */
  sockets: number;
  /** Open files that it inherits, after those. */
  files: readonly number[];
  /** Set where a cage stands around it: the cage reads this filter from one descriptor, and reports on the next. */
  filter?: Buffer | undefined;
  env: NodeJS.ProcessEnv;
}

/** The numbers that the descriptors of {@link StartOptions} have in the process. */
export function descriptorsOf({ sockets, files }: { sockets: number; files: readonly unknown[] }) {
  const firstFile = FIRST_SOCKET_FD + sockets;
  const keep = firstFile + files.length;
  return { firstFile, keep, seccomp: keep, report: keep + 1 };
}

/**
 * Starts a command in a process group of its own.
 * @throws CageFailed if its cage has not started it; Error of the system
 */
export async function startProcess(command: readonly string[], options: StartOptions): Promise<StartedProcess> {
  const child = await spawned(command, options);
  const stderr = keepTail(child.stderr);
  let gone = false;
  child.once('exit', () => {
    gone = true;
  });
  const exited = new Promise<ProcessExit>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal, stderr: stderr() }));
  });
  const sockets = Array.from({ length: options.sockets }, (_, index) => socketOf(child, FIRST_SOCKET_FD + index));
  let closed = false;
  for (const socket of sockets) socket.once('close', () => (closed = true));
  const pid = options.filter ? await startedByCage(child, options.filter, options) : child.pid;
  if (pid === undefined) throw new CageFailed(await exited);
  const kill = () => {
    if (gone) return;
    // What stands above the command ends it and reaps it, so that nothing of it is left when that has ended.
    if (pid === child.pid) killProcessGroup(pid);
    else child.kill('SIGTERM');
  };
  return { pid, sockets, exited, kill, isOver: () => closed || gone };
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
  const { sockets, filter, files, env } = options;
  const pipes = (count: number) => Array<'pipe'>(count).fill('pipe');
  const child = spawn(command, args, {
    detached: true,
    env,
    stdio: ['ignore', 'ignore', 'pipe', ...pipes(sockets), ...files, ...pipes(filter ? 2 : 0)],
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.on('error', reject);
  });
  return child;
}

/** Feeds the cage its filter, and learns which process it has become; undefined if it ended before that. */
async function startedByCage(child: ChildProcess, filter: Buffer, options: StartOptions): Promise<number | undefined> {
  const { seccomp, report } = descriptorsOf(options);
  socketOf(child, seccomp).end(filter);
  // Both of its processes close it, or are gone: it always ends.
  const said = await text(socketOf(child, report)).catch(() => '');
  return said === '' ? undefined : Number(said);
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
