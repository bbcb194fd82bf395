import { type ChildProcess, spawn } from 'node:child_process';
import { Duplex, type Readable } from 'node:stream';
import { killProcessGroup } from '@vmlet/host';
import { VmletError } from '../../errors.ts';
import { CONSOLE_FD, CONTROL_FD, QMP_FD, WIRE_FD } from './command-line.ts';

const QEMU = 'qemu-system-x86_64';
/** How much of QEMU's stderr its end tells, in bytes. */
const STDERR_TAIL_BYTES = 4096;

/** How a QEMU process ended. */
export interface QemuExit {
  code: number | null;
  signal: NodeJS.Signals | null;
  stderr: string;
}

/** A running QEMU process and the sockets that it inherited. */
export interface QemuProcess {
  readonly pid: number;
  readonly qmp: Duplex;
  readonly control: Duplex;
  readonly console: Readable;
  readonly wire: Duplex;
  /** Resolves, never rejects, when the process is gone and its sockets are closed. */
  readonly exited: Promise<QemuExit>;
  /** Ends the process at once. Calling it again, or after the end, does nothing. */
  kill(): void;
}

/**
 * Starts QEMU in a process group of its own. It dies with this process, however that ends: the kernel kills it when
 * its parent is gone, and a sweep at the next start finds what slipped through.
 * @throws VmletError `QEMU_NOT_STARTED`
 */
export async function launchQemu(args: readonly string[]): Promise<QemuProcess> {
  const child = await start(['--pdeathsig', 'KILL', '--', QEMU, ...args]);
  const stderr = keepTail(child.stderr);
  const exited = new Promise<QemuExit>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal, stderr: stderr() }));
  });
  let gone = false;
  child.once('exit', () => {
    gone = true;
  });
  return {
    pid: child.pid ?? 0,
    qmp: inheritedSocket(child, QMP_FD),
    control: inheritedSocket(child, CONTROL_FD),
    console: inheritedSocket(child, CONSOLE_FD),
    wire: inheritedSocket(child, WIRE_FD),
    exited,
    kill() {
      if (!gone) killProcessGroup(child.pid);
    },
  };
}

async function start(args: readonly string[]): Promise<ChildProcess> {
  try {
    const child = spawn('setpriv', args, {
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe', 'pipe', 'pipe'],
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.on('error', reject);
    });
    return child;
  } catch (cause) {
    const found = cause instanceof Error ? cause.message : String(cause);
    throw new VmletError('QEMU_NOT_STARTED', { operands: { command: 'setpriv', found }, cause });
  }
}

function inheritedSocket(child: ChildProcess, fd: number): Duplex {
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
