import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { encodeFrame, FrameDecoder } from '@vmlet/guest-protocol';

const FOLDER = fileURLToPath(new URL('..', import.meta.url));
const FLAGS = ['-std=c11', '-Wall', '-Wextra', '-Werror', '-pedantic'];
const IS_ROOT = process.getuid?.() === 0;

/** Compiled programs in a folder that everybody can read. */
export interface Build extends Disposable {
  plain: string;
  sanitized: string;
  /** `test/programs.c`: static, without a position-independent load address. */
  programs: string;
}

/** Compiles init1-exec both ways, and what it shall launch. Takes some seconds. */
export function build(): Build {
  const folder = mkdtempSync(join(tmpdir(), 'init1-exec-build-'));
  chmodSync(folder, 0o755);
  const compile = (source: string, name: string, flags: readonly string[]) => {
    const binary = join(folder, name);
    execFileSync('gcc', [...FLAGS, ...flags, '-o', binary, join(FOLDER, source)]);
    return binary;
  };
  const sanitizers = ['-O1', '-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'];
  return {
    plain: compile('init1-exec.c', 'init1-exec', ['-O2', '-static', '-s']),
    sanitized: compile('init1-exec.c', 'init1-exec-sanitized', sanitizers),
    programs: compile('test/programs.c', 'programs', ['-O2', '-static', '-no-pie', '-pthread']),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** How a launcher is run: which build of it, and by whom. */
export interface Variant {
  name: string;
  build: 'plain' | 'sanitized';
  unprivileged: boolean;
}

/** Without root there is one user only. */
export const VARIANTS: Variant[] = [
  { name: 'plain', build: 'plain', unprivileged: !IS_ROOT },
  { name: 'sanitized', build: 'sanitized', unprivileged: !IS_ROOT },
  ...(IS_ROOT ? [{ name: 'plain, unprivileged', build: 'plain', unprivileged: true } as const] : []),
];

const DROP = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--inh-caps=-all', '--bounding-set=-all'];
/** Runs what follows where the folder $1 cannot be written and /run is a tmpfs, as in a machine. */
const MACHINE_LIKE =
  'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && mount -t tmpfs t /run && shift && exec "$@"';

export interface LauncherOptions {
  variant: Variant;
  built: Build;
  /** Files of the code folder: text, or the bytes of a program. Mode 0755 unless the name is in `plainFiles`. */
  files?: Record<string, string | Buffer>;
  plainFiles?: readonly string[];
  /** VMLET_CODE_DIR, where it is not the folder of `files`. */
  codeFolder?: string;
  /** Read-only code, in a mount namespace of its own; for root. */
  machineLike?: boolean;
}

export type Message = Record<string, unknown> & { type: string };

/** init1-exec with a socket pair for its channel and a folder of code. */
export class Launcher implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #decoder = new FrameDecoder();
  readonly #frames: AsyncGenerator<object>;
  readonly #close: Promise<unknown[]>;
  readonly #mark = `INIT1_EXEC_TEST=${crypto.randomUUID()}`;
  readonly #variant: Variant;
  readonly channel: Duplex;
  readonly folder = mkdtempSync(join(tmpdir(), 'init1-exec-code-'));
  readonly received: Message[] = [];
  stdout = '';
  stderr = '';

  constructor(options: LauncherOptions) {
    this.#variant = options.variant;
    chmodSync(this.folder, 0o755);
    for (const [name, content] of Object.entries(options.files ?? {})) {
      mkdirSync(join(this.folder, name, '..'), { recursive: true });
      writeFileSync(join(this.folder, name), content);
      chmodSync(join(this.folder, name), options.plainFiles?.includes(name) ? 0o644 : 0o755);
    }
    const namespace = options.machineLike
      ? ['unshare', '--mount', 'sh', '-c', MACHINE_LIKE, 'sh', this.folder]
      : options.variant.unprivileged && IS_ROOT
        ? DROP
        : [];
    const [command = '', ...args] = [...namespace, options.built[options.variant.build]];
    this.#process = spawn(command, args, {
      env: {
        PATH: process.env.PATH ?? '/usr/bin:/bin',
        VMLET: '1',
        VMLET_CONTROL_FD: '3',
        VMLET_CODE_DIR: options.codeFolder ?? this.folder,
        INIT1_EXEC_TEST: this.#mark.split('=')[1],
      },
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    });
    this.#close = once(this.#process, 'close');
    this.#process.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.channel = this.#process.stdio[3] as Duplex;
    this.channel.on('error', () => {});
    this.#frames = this.#read();
  }

  /** Its process. */
  get pid(): number {
    return this.#process.pid ?? 0;
  }

  async *#read(): AsyncGenerator<object> {
    for await (const chunk of this.channel) yield* this.#decoder.push(chunk);
  }

  send(message: Message): void {
    this.channel.write(encodeFrame(message));
  }

  /** The next message, or undefined at the end. */
  async next(): Promise<Message | undefined> {
    const { value, done } = await this.#frames.next();
    if (done) return undefined;
    this.received.push(value as Message);
    return value as Message;
  }

  /** The next message, which must be of that type. */
  async until(type: string): Promise<Message> {
    const message = await this.next();
    if (message?.type === type) return message;
    throw new Error(`Cannot wait for "${type}": ${JSON.stringify(message)} came, stderr "${this.stderr}"`);
  }

  /** Reads `ready` and sends `load`. */
  async load(entrypoint: string, port: number, more: Record<string, unknown> = {}): Promise<void> {
    await this.until('ready');
    this.send({ type: 'load', code: null, entrypoint, interface: null, variables: {}, port, ...more });
  }

  /** Waits until the program's output has that text. */
  async said(text: string): Promise<void> {
    while (!this.stdout.includes(text) && !this.stderr.includes(text)) {
      const { stdout, stderr } = this.#process;
      if (!stdout || !stderr) return;
      await Promise.race([once(stdout, 'data'), once(stderr, 'data'), this.#close]);
    }
  }

  /** How it ended, all frames read. */
  async end(): Promise<{ code: number | null; signal: string | null; frames: string[] }> {
    while (await this.next());
    const [code, signal] = (await this.#close) as [number | null, string | null];
    return { code, signal, frames: this.received.map(({ type }) => type) };
  }

  /** Ends it; then nothing of it or its program may run. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const pid of this.#children()) killIfThere(-pid);
    this.#process.kill('SIGKILL');
    for (let left = this.#leftovers(); left.length > 0; left = this.#leftovers())
      for (const pid of left) killIfThere(pid);
    this.channel.destroy();
    await this.#close;
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** The program, whose main thread may have ended and left no environment to find it by. */
  #children(): number[] {
    try {
      return readFileSync(`/proc/${this.pid}/task/${this.pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
    } catch {
      return []; // ended
    }
  }

  /** Processes that have this launcher's mark in their environment; zombies have none. */
  #leftovers(): number[] {
    return readdirSync('/proc').flatMap((name) => {
      if (!/^\d+$/.test(name)) return [];
      try {
        return readFileSync(`/proc/${name}/environ`, 'utf8').includes(this.#mark) ? [Number(name)] : [];
      } catch {
        return []; // ended, or not ours to look at
      }
    });
  }

  /** Whether the filter could be installed without no_new_privs. */
  get privileged(): boolean {
    return !this.#variant.unprivileged;
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

/** A port that nothing listens on, at any address. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '::');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** What the program of `test/programs.c` says of itself, asked as the wire does: at 127.0.0.1, then at ::1. */
export async function ask(port: number): Promise<{ exe: string; cwd: string; noNewPrivs: number }> {
  const response = await fetch(`http://127.0.0.1:${port}/`).catch(() => fetch(`http://[::1]:${port}/`));
  return (await response.json()) as { exe: string; cwd: string; noNewPrivs: number };
}
