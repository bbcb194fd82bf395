import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** How much of a failed command's stderr its error keeps, in bytes. */
const STDERR_TAIL_BYTES = 4096;
/** How much of a command's stdout is kept, in bytes; a command that prints more is ended. */
const STDOUT_MAX_BYTES = 16 * 1024 * 1024;

export interface RunOptions {
  cwd?: string;
  /** Replaces the environment; the parent's is inherited when absent. */
  env?: NodeJS.ProcessEnv;
  /** Fed to stdin, which is empty otherwise. */
  input?: Readable;
  /** Called with each line of stderr as it comes. If it throws, the command is ended, and `run` rejects with that. */
  onLine?: (line: string) => void;
  signal?: AbortSignal | undefined;
}

/** A native command that could not be started, was ended by a signal, or exited other than 0. */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed';
  readonly command: string;
  readonly exitCode: number | null;
  /** The last 4 KiB of stderr. */
  readonly stderr: string;
  constructor(command: string, found: string, stderr: string, options: { exitCode?: number | null; cause?: unknown }) {
    super(`Cannot run "${command}": ${found}`, options.cause === undefined ? {} : { cause: options.cause });
    this.command = command;
    this.exitCode = options.exitCode ?? null;
    this.stderr = stderr;
  }
}

/**
 * Runs a native command to its end, in a process group of its own that is killed when `signal` aborts.
 * @returns its stdout
 * @throws CommandFailed with the tail of its stderr
 */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  options.signal?.throwIfAborted();
  const child = start(command, args, options);
  const killGroup = () => killProcessGroup(child.pid);
  options.signal?.addEventListener('abort', killGroup, { once: true });
  const ended = new Promise<{ code: number | null; signal: string | null }>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  // A command may stop reading its input early; what it then says on stderr is the better error.
  const fed = options.input && child.stdin ? settled(pipeline(options.input, child.stdin)) : undefined;
  // Whatever cannot be taken in ends the command, so that all of this ends together.
  const stdout = settled(collect(child.stdout, STDOUT_MAX_BYTES), killGroup);
  const stderr = settled(tail(child.stderr, options.onLine), killGroup);
  try {
    const end = await ended.catch((cause: unknown) => {
      throw new CommandFailed(command, startFailure(cause), '', { cause });
    });
    const [printed, said, feeding] = await Promise.all([stdout, stderr, fed]);
    options.signal?.throwIfAborted();
    if ('error' in said) throw said.error;
    if ('error' in printed)
      throw new CommandFailed(command, wordsOf(printed.error), said.value, { exitCode: end.code });
    if (end.code !== 0) {
      const found = end.signal ? `ended by ${end.signal}` : `exit code ${end.code}`;
      throw new CommandFailed(command, `${found}, expected exit code 0`, said.value, { exitCode: end.code });
    }
    if (feeding && 'error' in feeding) throw feeding.error;
    return printed.value;
  } finally {
    options.signal?.removeEventListener('abort', killGroup);
  }
}

function start(command: string, args: readonly string[], options: RunOptions): ChildProcess {
  try {
    return spawn(command, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      detached: true,
      stdio: [options.input ? 'pipe' : 'ignore', 'pipe', 'pipe'],
    });
  } catch (cause) {
    throw new CommandFailed(command, startFailure(cause), '', { cause });
  }
}

/** How a promise ended, as a value: several can be waited for, and none of them is ever unhandled. */
async function settled<T>(promise: Promise<T>, onError?: () => void): Promise<{ value: T } | { error: unknown }> {
  try {
    return { value: await promise };
  } catch (error) {
    onError?.();
    return { error };
  }
}

/** Kills every process of a group. A group that is already gone is fine. */
export function killProcessGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function startFailure(cause: unknown): string {
  const code = (cause as NodeJS.ErrnoException).code;
  return code === 'ENOENT' ? 'no such command on PATH, expected it to be installed' : `start failed (${code ?? cause})`;
}

async function collect(stream: Readable | null, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of stream ?? []) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxBytes) throw new Error(`over ${maxBytes} bytes on stdout, expected less`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

async function tail(stream: Readable | null, onLine: ((line: string) => void) | undefined): Promise<string> {
  let kept = '';
  let partial = '';
  stream?.setEncoding('utf8');
  for await (const chunk of stream ?? []) {
    kept = (kept + chunk).slice(-STDERR_TAIL_BYTES);
    if (!onLine) continue;
    const lines = (partial + chunk).split(/\r?\n|\r/);
    partial = lines.pop() ?? '';
    for (const line of lines) onLine(line);
  }
  if (partial !== '') onLine?.(partial);
  return kept;
}
