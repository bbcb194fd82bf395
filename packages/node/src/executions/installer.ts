import type { Readable } from 'node:stream';
import type { Pool } from 'undici';
import { type Deadline, deadline } from '../deadline.ts';
import type { EgressOptions } from '../machines/cage/index.ts';
import { type Backend, bootMachine, type LogLine, loadProgram } from '../machines/index.ts';
import { explain } from './explain.ts';
import { connectTo, GUEST_HTTP_PORT, launcherEnvironment } from './launcher.ts';

/**
 * The kit's own programs: each takes a zip with requirements.txt or package.json, and answers with a zip of what pip or
 * npm made of it.
 */
const INSTALLERS = {
  pip: { entrypoint: 'vmlet_install:app', interface: 'asgi' },
  npm: { entrypoint: '/run/vmlet/kit/init1/node/vmlet-install.js', interface: null },
} as const;
/** pip and npm resolve, unpack and compile: more than most programs need. */
const MEMORY_MIB = 1024;
/** What a guest may answer with: it is kept in the node's memory. */
const MAX_ARCHIVE_BYTES = 512 * 1024 * 1024;
const MAX_OUTPUT_BYTES = 1024 * 1024;

/** What installs: each runs in a runtime of its language. */
export type Installer = keyof typeof INSTALLERS;

export interface InstallRequest {
  installer: Installer;
  runtimeImage: string;
  /** The command of the runtime's launcher for the installer's language. */
  launcherArgv: string[];
  /** Where that launcher comes from: the boot kit unless told. */
  init?: 'kit' | 'image';
  /** Settings of the installer, such as PIP_INDEX_URL. */
  variables: Record<string, string>;
  /** What it reaches beyond the internet. */
  egress: EgressOptions;
  /** Authorities to trust, in PEM, where this host has others than the world. */
  authorities: Buffer | undefined;
  /** A zip of the folder with requirements.txt or package.json. */
  archive: Readable;
  backend: Backend;
  bootDeadlineMs: number;
  /** For the whole installation, in milliseconds. */
  deadlineMs: number;
  onLog: (line: LogLine) => void;
  signal: AbortSignal;
}

/** What was made: a zip of site-packages or node_modules, or what the installer says of its failure. */
export type Installed = { ok: true; archive: Buffer } | { ok: false; output: string };

/**
 * Installs packages inside a runtime, in a machine of its own that may use the network and is gone afterwards: what is
 * installed fits the runtime's interpreter, and no package's code runs on the host.
 * @throws VmletError why the machine did not start, or ended; the signal's reason
 */
export async function installPackages(request: InstallRequest): Promise<Installed> {
  const { backend, signal, bootDeadlineMs } = request;
  const spec = {
    runtimeImage: request.runtimeImage,
    init: request.init,
    vcpus: 1,
    memoryMiB: MEMORY_MIB,
    internet: true,
    egress: request.egress,
    hostname: 'install',
    launcher: { argv: request.launcherArgv, env: launcherEnvironment },
  };
  const machine = await bootMachine(backend, spec, {
    deadlineMs: bootDeadlineMs,
    events: { onLog: request.onLog },
    signal,
  });
  await using stack = new AsyncDisposableStack();
  stack.defer(async () => {
    machine.kill();
    await machine.ended;
  });
  const load = { ...INSTALLERS[request.installer], port: GUEST_HTTP_PORT, code: null, variables: request.variables };
  await loadProgram(machine, load, { deadlineMs: bootDeadlineMs, signal });
  using limit = deadline(request.deadlineMs, signal);
  const pool = stack.adopt(connectTo(machine, { port: GUEST_HTTP_PORT }), (made) => made.destroy());
  try {
    if (request.authorities) await trust(pool, request.authorities, limit);
    return await ask(pool, request.archive, limit);
  } catch (error) {
    signal.throwIfAborted();
    if (limit.expired) return { ok: false, output: `${request.installer} had not ended after ${limit.ms / 1000} s` };
    throw await explain(machine, error);
  }
}

async function trust(pool: Pool, authorities: Buffer, limit: Deadline): Promise<void> {
  const answer = await pool.request({ method: 'PUT', path: '/', body: authorities, signal: limit.signal });
  await answer.body.dump();
}

async function ask(pool: Pool, archive: Readable, limit: Deadline): Promise<Installed> {
  const answer = await pool.request({
    method: 'POST',
    path: '/',
    headers: { 'content-type': 'application/zip' },
    body: archive,
    signal: limit.signal,
  });
  const ok = answer.statusCode === 200;
  const maxBytes = ok ? MAX_ARCHIVE_BYTES : MAX_OUTPUT_BYTES;
  const bytes = await readAtMost(answer.body, maxBytes);
  if (!bytes) return { ok: false, output: `The machine answered with over ${maxBytes} bytes, expected less` };
  return ok ? { ok, archive: bytes } : { ok, output: bytes.toString('utf8') };
}

/** Undefined if there is more; the rest is then not read. */
async function readAtMost(body: Readable, maxBytes: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of body) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
