import { rm } from 'node:fs/promises';
import { ensureBootKit } from '@vmlet/guest';
import { createAdmission } from './admission/index.ts';
import { createApi } from './api/index.ts';
import { openFileStore } from './content/index.ts';
import { diagnose } from './diagnose.ts';
import { Executions, ProgramLogs } from './executions/index.ts';
import { Gateway } from './gateway/index.ts';
import { installFor } from './install-for.ts';
import { loadOrCreateKey } from './keys/index.ts';
import { openLedger } from './ledger/index.ts';
import { type Accelerator, type Backend, probeAccelerator, sweepMachines } from './machines/index.ts';
import { executionsConfig, type NodeOptions } from './node-options.ts';
import { serveOwner } from './owner/index.ts';
import { createPrograms } from './programs.ts';
import { CodeImages } from './runtimes/index.ts';
import { openCache, openDatabase, openHome, writeFileAtomic } from './store/index.ts';
import { createLogger } from './telemetry/index.ts';
import { VERSION } from './version.ts';

export { type DiagnoseOptions, diagnose } from './diagnose.ts';
export { type Problem, toProblem, VmletError } from './errors.ts';
export { loadOrCreateKey } from './keys/index.ts';
export type { NodeOptions } from './node-options.ts';
export { pathsOf } from './store/index.ts';
export { VERSION } from './version.ts';

/** What requests under way get when the node is told to stop, in milliseconds: less than service managers wait. */
const DRAIN_MS = 30_000;

/** A node that takes requests. Disposing of it answers those under way, stops all machines and frees its home. */
export interface RunningNode extends AsyncDisposable {
  /** Of the API; programs are below `/vm/` there and on hosts of their own. */
  readonly url: string;
  readonly programDomain: string;
  readonly ownerSocket: string;
  /** The address whose key this node's owner holds. */
  readonly operator: string;
  readonly backend: Accelerator;
}

/**
 * Starts a node: all its parts are made here, and here only, from the lowest up. Whatever fails, what was made before
 * is undone.
 * @throws VmletError such as `HOME_LOCKED`, `PORT_IN_USE`, `QEMU_NOT_STARTED`, `BACKEND_UNUSABLE`
 */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  await using stack = new AsyncDisposableStack();
  const log = createLogger(options.logLevel ?? 'warn');
  const signal = options.signal ?? new AbortController().signal;
  const home = stack.use(await openHome(options.home));
  const cache = await openCache(options.cache);
  const database = stack.adopt(openDatabase(home.paths.database), (opened) => {
    opened.close();
  });
  const content = await openFileStore(home.paths.content);
  await content.sweepTemporary();
  const onListenerError = (err: unknown) => log.error({ err }, 'a ledger listener failed');
  const ledger = stack.use(await openLedger({ database, content, onListenerError }));
  const operator = (await loadOrCreateKey(options.config)).signer.address;
  const admission = createAdmission({ operatorAddress: operator, allow: options.allow });

  const namePrefix = `vmlet-${home.id}-`;
  const killed = await sweepMachines(namePrefix);
  if (killed.length > 0) log.warn({ killed }, 'killed machines that an earlier node left');
  const progress = options.onProgress ? { onProgress: options.onProgress } : {};
  const kit = await ensureBootKit({ cache: cache.dir, signal, ...progress });
  const probe = () => probeAccelerator(kit, { cache: cache.dir, namePrefix, signal, ...progress });
  const { accelerator, tscKhz } = await probe();
  const backend: Backend = { kit, accelerator, tscKhz, namePrefix };

  const codeImages = new CodeImages(home.paths.code);
  await codeImages.sweepTemporary();
  const logs = new ProgramLogs(home.paths.logs);
  const config = executionsConfig(options, accelerator);
  const executions = stack.use(new Executions({ backend, logs, config }));
  const programs = createPrograms({ ledger, content, codeImages, admission, operator });
  stack.defer(
    ledger.subscribe((event) => {
      if (event.type !== 'forgotten' || event.message.type !== 'PROGRAM') return;
      const { itemHash } = event.message;
      void executions.stop(itemHash, 'its owner has removed it').then(() => logs.remove(itemHash));
    }),
  );

  const api = stack.use(
    await createApi({
      content,
      ledger,
      admission,
      version: VERSION,
      onFailure: (failure) => log.error(failure, 'api'),
    }),
  );
  const programDomain = options.programDomain ?? 'vm.localhost';
  const gateway = stack.use(
    new Gateway(
      {
        programDomain,
        apiHosts: options.apiHosts ?? [],
        trustForwarded: options.trustForwarded ?? false,
        drainMs: DRAIN_MS,
      },
      { executions, findProgram: programs.find, api: api.handler, log },
    ),
  );
  const { port } = await gateway.listen(options.listen.host, options.listen.port);
  const url = `http://${urlHost(options.listen.host)}:${port}`;

  const startedAt = performance.now();
  const status = () => ({
    version: VERSION,
    url,
    programDomain,
    pid: process.pid,
    operator,
    backend: accelerator,
    uptimeSeconds: Math.round((performance.now() - startedAt) / 1000),
    rssMiB: Math.round(process.memoryUsage.rss() / 1024 / 1024),
  });
  const { ownerSocket, nodeFile } = home.paths;
  stack.use(
    await serveOwner(ownerSocket, {
      ledger,
      executions,
      logs,
      status,
      runtimes: programs.runtimes,
      urlsOf: programs.urlsOf({ url, programDomain, port }),
      doctor: () => diagnose({ home: home.dir, probe }),
      install: installFor({ ledger, content, backend, bootDeadlineMs: config.bootDeadlineMs }),
    }),
  );
  const record = { format: 1, pid: process.pid, url, programDomain, ownerSocket };
  await writeFileAtomic(nodeFile, { bytes: Buffer.from(`${JSON.stringify(record)}\n`), mode: 0o600 });
  stack.defer(() => rm(nodeFile, { force: true }));

  const owned = stack.move();
  return {
    url,
    programDomain,
    ownerSocket,
    operator,
    backend: accelerator,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** A host as a URL has it; what listens everywhere is reached over the loopback. */
function urlHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
}
