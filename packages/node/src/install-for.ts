import type { ContentStore } from './content/index.ts';
import { VmletError } from './errors.ts';
import { installRequirements } from './executions/index.ts';
import type { Ledger } from './ledger/index.ts';
import type { Backend } from './machines/index.ts';
import type { OwnerComponents } from './owner/index.ts';
import { initOf, launcherArgv, manifestOf } from './runtimes/index.ts';

/** How long pip may take, in milliseconds: it may have to fetch and unpack a lot, under emulation. */
const INSTALL_DEADLINE_MS = 15 * 60_000;
const PIP_VARIABLES = /^PIP_[A-Z_]+$/;

export interface InstallComponents {
  ledger: Pick<Ledger, 'store'>;
  content: Pick<ContentStore, 'verifiedPath'>;
  backend: Backend;
  bootDeadlineMs: number;
}

/** Installs requirements inside a published runtime. pip gets the node's own PIP_* settings. */
export function installFor({
  ledger,
  content,
  backend,
  bootDeadlineMs,
}: InstallComponents): OwnerComponents['install'] {
  return async ({ runtime, archive, signal }) => {
    const store = ledger.store(runtime);
    if (!store) throw new VmletError('RUNTIME_NOT_FOUND', { operands: { ref: runtime } });
    const manifest = manifestOf(store);
    return installRequirements({
      runtimeImage: await content.verifiedPath(store.fileHash, { signal }),
      launcherArgv: launcherArgv('python', manifest),
      init: initOf(manifest),
      variables: pipVariables(process.env),
      archive,
      backend,
      bootDeadlineMs,
      deadlineMs: INSTALL_DEADLINE_MS,
      onLog: () => {},
      signal,
    });
  };
}

function pipVariables(env: NodeJS.ProcessEnv): Record<string, string> {
  const entries = Object.entries(env).filter(([name, value]) => PIP_VARIABLES.test(name) && value !== undefined);
  return Object.fromEntries(entries.map(([name, value]) => [name, value ?? '']));
}
