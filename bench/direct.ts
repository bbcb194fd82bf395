import { createHash } from 'node:crypto';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureBootKit } from '@vmlet/guest';
import { resolvePaths } from '@vmlet/host';
import type { FileHash, ItemHash } from '@vmlet/messages';
import type { Dispatcher } from 'undici';
import { Executions, ProgramLogs } from '../packages/node/src/executions/index.ts';
import { openCage } from '../packages/node/src/machines/cage/index.ts';
import { probeAccelerator } from '../packages/node/src/machines/index.ts';
import { CodeImages } from '../packages/node/src/runtimes/index.ts';
import { officialRuntime } from '../tests/framework/runtime.ts';

const PROGRAM = 'd'.repeat(64) as ItemHash;
const NAME_PREFIX = 'vmlet-bench-';
const MEMORY_MIB = 256;

/** A Python program in a machine of this process, asked without any gateway. */
export interface DirectProgram extends AsyncDisposable {
  client: Dispatcher;
}

/** Starts a machine here and loads the program of this zip, which is `main:app`. */
export async function startDirect(zip: Blob): Promise<DirectProgram> {
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(await mkdtempDisposable(join(tmpdir(), 'vmlet-bench-')));
  const bytes = Buffer.from(await zip.arrayBuffer());
  await writeFile(join(path, 'code.zip'), bytes);
  const fileHash = createHash('sha256').update(bytes).digest('hex') as FileHash;
  const source = { fileHash, encoding: 'zip', path: join(path, 'code.zip') } as const;
  const codeImage = await new CodeImages(join(path, 'code')).ensure(source);
  const { imagePath } = await officialRuntime();
  const { cache } = resolvePaths();
  const signal = new AbortController().signal;
  const kit = await ensureBootKit({ cache });
  const cage = stack.use(await openCage({ name: `${NAME_PREFIX}${process.pid}`, homeId: '', cache, signal }));
  const probe = await probeAccelerator(kit, { cache, namePrefix: NAME_PREFIX, cage, signal });
  const executions = stack.use(
    new Executions({
      backend: { kit, ...probe, namePrefix: NAME_PREFIX, cage },
      logs: new ProgramLogs(join(path, 'logs')),
      owners: { reserve: () => ({ [Symbol.dispose]() {} }), mayUseCpu() {}, charge() {} },
      config: {
        maxInFlight: 1,
        maxQueued: 1,
        idleMs: 3_600_000,
        graceMs: 1000,
        bootDeadlineMs: 60_000,
        loadDeadlineMs: 60_000,
        maxBoots: 1,
        memoryBudgetMiB: MEMORY_MIB,
      },
    }),
  );
  const argv = ['/usr/bin/python3', '-u', '/run/vmlet/kit/init1/python/init1.py'];
  const launch = { kind: 'python', argv, entrypoint: 'main:app', interface: 'asgi', args: [] } as const;
  const prepare = async () => ({
    itemHash: PROGRAM,
    memoryMiB: MEMORY_MIB,
    runtimeImage: imagePath,
    codeImage,
    launch: { ...launch, init: 'kit' as const, argv, args: [] },
    variables: {},
    vcpus: 1,
    seconds: 60,
  });
  const program = { itemHash: PROGRAM, owner: 'bench', vcpus: 1, memoryMiB: MEMORY_MIB, prepare };
  const lease = stack.use(await executions.acquire(program, signal));
  const owned = stack.move();
  return { client: lease.client, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
