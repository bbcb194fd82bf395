import { lookup } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import type { ContentStore } from './content/index.ts';
import { VmletError } from './errors.ts';
import { installPackages } from './executions/index.ts';
import type { Ledger } from './ledger/index.ts';
import type { Destination, EgressOptions } from './machines/cage/index.ts';
import type { Backend } from './machines/index.ts';
import type { OwnerComponents } from './owner/index.ts';
import { initOf, launcherArgv, manifestOf } from './runtimes/index.ts';

/** How long pip or npm may take, in milliseconds: it may have to fetch and unpack a lot, under emulation. */
const INSTALL_DEADLINE_MS = 15 * 60_000;
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;
/** Where a guest finds the loopback of its host, by QEMU's user-mode network. */
const HOST_ADDRESS = '10.0.2.2';

type Installer = Parameters<OwnerComponents['install']>[0]['installer'];

interface Settings {
  launcher: 'python' | 'node';
  /** Variables of this host that say where packages come from, and none that say who asks for them. */
  variables: RegExp;
  /** Variables of this host that name a file of authorities, the first that is set counts. */
  authorities: readonly string[];
}

const SETTINGS: Readonly<Record<Installer, Settings>> = {
  pip: { launcher: 'python', variables: /^PIP_[A-Z_]+$/, authorities: ['PIP_CERT', 'SSL_CERT_FILE'] },
  npm: {
    launcher: 'node',
    variables:
      /^npm_config_(?:registry|https?_proxy|proxy|noproxy|strict_ssl|fetch_\w+|maxsockets|replace_registry_host|legacy_peer_deps)$/i,
    authorities: ['npm_config_cafile', 'NPM_CONFIG_CAFILE', 'NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE'],
  },
};

export interface InstallComponents {
  ledger: Pick<Ledger, 'store'>;
  content: Pick<ContentStore, 'verifiedPath'>;
  backend: Backend;
  bootDeadlineMs: number;
}

/** Installs packages inside a published runtime. pip and npm get the node's own settings of where packages are. */
export function installFor({
  ledger,
  content,
  backend,
  bootDeadlineMs,
}: InstallComponents): OwnerComponents['install'] {
  return async ({ runtime, installer, archive, signal }) => {
    const store = ledger.store(runtime);
    if (!store) throw new VmletError('RUNTIME_NOT_FOUND', { operands: { ref: runtime } });
    const manifest = manifestOf(store);
    const settings = SETTINGS[installer];
    return installPackages({
      installer,
      runtimeImage: await content.verifiedPath(store.fileHash, { signal }),
      launcherArgv: launcherArgv(settings.launcher, manifest),
      init: initOf(manifest),
      ...(await reachIndexes(variablesOf(process.env, settings))),
      authorities: await authoritiesOf(process.env, settings),
      archive,
      backend,
      bootDeadlineMs,
      deadlineMs: INSTALL_DEADLINE_MS,
      onLog: () => {},
      signal,
    });
  };
}

function variablesOf(env: NodeJS.ProcessEnv, { variables, authorities }: Settings): Record<string, string> {
  const isPassed = (name: string) => variables.test(name) && !authorities.includes(name);
  const entries = Object.entries(env).filter(([name, value]) => isPassed(name) && value !== undefined);
  return Object.fromEntries(entries.map(([name, value]) => [name, value ?? '']));
}

/**
 * What is told to pip or npm as a source may be where a machine reaches nothing, in a private network or on the host's own loopback:
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

/** Where a host trusts authorities of its own, as behind a firewall that reads along, its machines must too. */
async function authoritiesOf(env: NodeJS.ProcessEnv, { authorities }: Settings): Promise<Buffer | undefined> {
  const path = authorities.map((name) => env[name]).find((value) => value !== undefined && value !== '');
  // One that cannot be read is as none: the installer says what it does not trust.
  return path === undefined ? undefined : await readFile(path).catch(() => undefined);
}
