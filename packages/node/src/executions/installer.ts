import type { Readable } from 'node:stream';
import type { Pool } from 'undici';
import { type Deadline, deadline } from '../deadline.ts';
import { type Backend, bootMachine, type LogLine, loadProgram } from '../machines/index.ts';
import { explain } from './explain.ts';
import { connectTo, GUEST_HTTP_PORT, launcherEnvironment } from './launcher.ts';

/** The kit's own program: takes a zip with a requirements.txt, answers with a zip of what pip made of it. */
const INSTALLER_ENTRYPOINT = 'vmlet_install:app';
/** pip resolves, unpacks and compiles: more than most programs need. */
const MEMORY_MIB = 1024;
/** What a guest may answer with: it is kept in the node's memory. */
const MAX_ARCHIVE_BYTES = 512 * 1024 * 1024;
const MAX_OUTPUT_BYTES = 1024 * 1024;

export interface InstallRequest {
  runtimeImage: string;
  /** The command of the runtime's Python launcher. */
  launcherArgv: string[];
  /** Settings for pip, such as PIP_INDEX_URL. */
  variables: Record<string, string>;
  /** A zip of the folder with requirements.txt. */
  archive: Readable;
  backend: Backend;
  bootDeadlineMs: number;
  /** For the whole installation, in milliseconds. */
  deadlineMs: number;
  onLog: (line: LogLine) => void;
  signal: AbortSignal;
}

/** What pip has made: a zip of site-packages, or what it says of its failure. */
export type Installed = { ok: true; archive: Buffer } | { ok: false; output: string };

/**
 * Installs Python requirements inside a runtime, in a machine of its own that may use the network and is gone
 * afterwards: what is installed fits the runtime's interpreter, and no package's code runs on the host.
 * @throws VmletError why the machine did not start, or ended; the signal's reason
 */
export async function installRequirements(request: InstallRequest): Promise<Installed> {
  const { backend, signal, bootDeadlineMs } = request;
  const spec = {
    runtimeImage: request.runtimeImage,
    vcpus: 1,
    memoryMiB: MEMORY_MIB,
    internet: true,
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
  const load = { entrypoint: INSTALLER_ENTRYPOINT, interface: 'asgi' as const, port: GUEST_HTTP_PORT };
  await loadProgram(
    machine,
    { ...load, code: null, variables: request.variables },
    { deadlineMs: bootDeadlineMs, signal },
  );
  using limit = deadline(request.deadlineMs, signal);
  const pool = stack.adopt(connectTo(machine), (made) => made.destroy());
  try {
    return await ask(pool, request.archive, limit);
  } catch (error) {
    signal.throwIfAborted();
    if (limit.expired) return { ok: false, output: `pip had not ended after ${limit.ms / 1000} s` };
    throw await explain(machine, error);
  }
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
