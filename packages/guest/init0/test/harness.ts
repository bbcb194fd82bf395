import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { encodeFrame, FrameDecoder, type GuestMessage, guestMessage, type HostMessage } from '@vmlet/guest-protocol';

const FOLDER = fileURLToPath(new URL('..', import.meta.url));
const WARNINGS = ['-Wall', '-Wextra', '-Werror', '-pedantic'];
const PLAIN = ['-O2', '-static'];
const SANITIZED = ['-O1', '-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'];

/** Compiled programs in a folder of their own. */
export interface Build extends Disposable {
  plain: string;
  sanitized: string;
  /** Runs byte streams through frames.h, sanitized. */
  frames: string;
  /** The wire alone: serves it on descriptor 3, or runs byte streams through wire.h; sanitized. */
  wire: string;
}

/** Compiles init0 both ways. Takes some seconds. */
export function build(): Build {
  const folder = mkdtempSync(join(tmpdir(), 'init0-test-'));
  const compile = (sources: readonly string[], name: string, flags: readonly string[]) => {
    const binary = join(folder, name);
    const paths = sources.map((source) => join(FOLDER, source));
    execFileSync('gcc', ['-std=c11', ...WARNINGS, ...flags, '-o', binary, ...paths]);
    return binary;
  };
  const init0 = ['init0.c', 'wire.c'];
  return {
    plain: compile(init0, 'init0', PLAIN),
    sanitized: compile(init0, 'init0-sanitized', SANITIZED),
    frames: compile(['test/frames.c'], 'frames', ['-D_GNU_SOURCE', ...SANITIZED]),
    wire: compile(['test/wire.c', 'wire.c'], 'wire', SANITIZED),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** init0 as PID 1 of a PID namespace, with a socket pair for its port. */
export class Init0 implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #decoder = new FrameDecoder();
  readonly #frames: AsyncGenerator<object>;
  readonly #exit: Promise<unknown[]>;
  readonly #close: Promise<unknown[]>;
  readonly port: Duplex;
  /** All messages received so far. */
  readonly received: GuestMessage[] = [];
  stderr = '';

  constructor(binary: string) {
    const user = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
    const namespace = [...user, '--pid', '--fork', '--mount-proc', '--kill-child'];
    this.#process = spawn('unshare', [...namespace, binary, '--host-test', '3'], {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    });
    this.#exit = once(this.#process, 'exit');
    this.#close = once(this.#process, 'close');
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.port = this.#process.stdio[3] as Duplex;
    this.port.on('error', () => {});
    this.#frames = this.#read();
  }

  async *#read(): AsyncGenerator<object> {
    for await (const chunk of this.port) yield* this.#decoder.push(chunk);
  }

  send(message: HostMessage): void {
    this.port.write(encodeFrame(message));
  }

  /** The next message, or undefined at the end. Every one is checked against the protocol. */
  async next(): Promise<GuestMessage | undefined> {
    const { value, done } = await this.#frames.next();
    if (done) return undefined;
    const message = guestMessage.parse(value);
    this.received.push(message);
    return message;
  }

  /** The next message of that type; those before it are in `received`. */
  async until<T extends GuestMessage['type']>(type: T): Promise<Extract<GuestMessage, { type: T }>> {
    for (let message = await this.next(); message; message = await this.next()) {
      if (message.type === type) return message as Extract<GuestMessage, { type: T }>;
    }
    const seen = this.received.map((message) => message.type).join(', ');
    throw new Error(`Cannot wait for "${type}": the port closed after ${seen}, stderr "${this.stderr}"`);
  }

  /** Starts a launcher and returns without waiting for it. */
  async configure(argv: string[], env: Record<string, string> = {}): Promise<void> {
    await this.until('hello');
    this.send(configureMessage(argv, env));
  }

  /** Halts, reads to the end and returns the exit code of init0. */
  async halt(graceMs: number): Promise<number> {
    this.send({ type: 'halt', graceMs });
    await this.until('halted');
    return this.exitCode();
  }

  /** Reads to the end and returns the exit code of init0. */
  async exitCode(): Promise<number> {
    while (await this.next());
    const [code] = await this.#close;
    return code as number;
  }

  /** Text that came as log of one stream, joined. */
  log(stream: 'stdout' | 'stderr'): string {
    return this.received.flatMap((item) => (item.type === 'log' && item.stream === stream ? [item.text] : [])).join('');
  }

  /** Ends what still runs in the namespace's own way, so that nothing of it is left to the host's PID 1. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode === null) {
      this.send({ type: 'halt', graceMs: 0 });
      await this.#exit;
    }
    this.port.destroy();
    await this.#close;
  }
}

export function configureMessage(argv: string[], env: Record<string, string> = {}): HostMessage {
  return {
    type: 'configure',
    hostname: 'test',
    machineId: '0123456789abcdef0123456789abcdef',
    clock: { sec: 1, nsec: 0 },
    entropy: 'ab'.repeat(32),
    network: null,
    launcher: { argv, env: { PATH: process.env.PATH ?? '/usr/bin:/bin', ...env } },
  };
}

/** Arguments of a launcher in Python that speaks frames: `send(object)` and `receive()` are defined for it. */
export function pythonLauncher(script: string): string[] {
  const prelude = [
    'import os, sys, json, struct, signal',
    'FD = int(os.environ["VMLET_CONTROL_FD"])',
    'def send(value):',
    '    body = json.dumps(value).encode()',
    '    os.write(FD, struct.pack(">I", len(body)) + body)',
    'def take(n):',
    '    data = b""',
    '    while len(data) < n:',
    '        part = os.read(FD, n - len(data))',
    '        if not part: sys.exit(99)',
    '        data += part',
    '    return data',
    'def receive():',
    '    return json.loads(take(struct.unpack(">I", take(4))[0]))',
    'def ready():',
    '    send({"type": "ready", "launcher": "test", "version": "1", "features": []})',
  ];
  return ['python3', '-c', `${prelude.join('\n')}\n${script}`];
}
