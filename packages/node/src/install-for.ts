import { lookup } from 'node:dns/promises';
import type { ContentStore } from './content/index.ts';
import { VmletError } from './errors.ts';
import { installRequirements } from './executions/index.ts';
import type { Ledger } from './ledger/index.ts';
import type { Backend, Destination, EgressOptions } from './machines/index.ts';
import type { OwnerComponents } from './owner/index.ts';
import { launcherArgv, manifestOf } from './runtimes/index.ts';

/** How long pip may take, in milliseconds: it may have to fetch and unpack a lot, under emulation. */
const INSTALL_DEADLINE_MS = 15 * 60_000;
const PIP_VARIABLES = /^PIP_[A-Z_]+$/;
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;
/** Where a guest finds the loopback of its host, by QEMU's user-mode network. */
const HOST_ADDRESS = '10.0.2.2';

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
    return installRequirements({
      runtimeImage: await content.verifiedPath(store.fileHash, { signal }),
      launcherArgv: launcherArgv('python', manifestOf(store)),
      ...(await reachIndexes(pipVariables(process.env))),
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

/**
 * What pip is told to use may be where a machine reaches nothing, in a private network or on the host's own loopback:
 * these ports are let through, and no other. A guest finds its host's loopback at an address of its own.
 */
export async function reachIndexes(
  variables: Record<string, string>,
): Promise<{ variables: Record<string, string>; egress: EgressOptions }> {
  const allowed: Destination[] = [];
  const loopbackPorts: number[] = [];
  const trusted: string[] = [];
  const entries = Object.entries(variables).map(async ([name, value]) => {
    const words = await Promise.all(
      value.split(/\s+/).map(async (word) => {
        if (!/^https?:/.test(word) || !URL.canParse(word)) return word;
        const url = new URL(word);
        const port = Number(url.port) || (url.protocol === 'https:' ? 443 : 80);
        if (LOOPBACK.test(url.hostname)) {
          loopbackPorts.push(port);
          url.hostname = HOST_ADDRESS;
          // pip takes plain HTTP from the loopback, which to a guest is an address like any other.
          if (url.protocol === 'http:') trusted.push(`${HOST_ADDRESS}:${port}`);
          return url.href;
        }
        // A name that is not known here is not known there: pip says so.
        const addresses = await lookup(url.hostname, { family: 4, all: true }).catch(() => []);
        allowed.push(...addresses.map(({ address }) => ({ address, port })));
        return word;
      }),
    );
    return [name, words.join(' ')] as const;
  });
  const reached: Record<string, string> = Object.fromEntries(await Promise.all(entries));
  const hosts = [reached.PIP_TRUSTED_HOST ?? '', ...trusted].join(' ').trim();
  if (hosts !== '') reached.PIP_TRUSTED_HOST = hosts;
  return { variables: reached, egress: { allowed, loopbackPorts } };
}
