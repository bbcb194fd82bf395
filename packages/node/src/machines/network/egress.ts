import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { CommandFailed, killProcessGroup, run } from '@vmlet/host';
import { deadline, orAborted } from '../../deadline.ts';

/** Addresses that are routed nowhere: the link of a namespace to pasta, which speaks for the rest of the world there. */
const LINK = { address: '198.18.0.2', netmask: '255.255.255.248', gateway: '198.18.0.1', network: '198.18.0.0/29' };
/** Queries that are sent there reach the host's own resolver, and nothing else of where that is. */
export const RESOLVER_ADDRESS = '198.18.0.3';
/** pasta is ready in some 30 ms. */
const READY_MS = 10_000;

/** What no machine reaches: the host, its neighbours, and the addresses by which clouds tell secrets. */
const LOCAL_RANGES = ['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '240.0.0.0/4'];
/** What no machine reaches unless the operator allows it. */
const PRIVATE_RANGES = [
  '10.0.0.0/8',
  '100.64.0.0/10',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '192.0.0.0/24',
  '198.18.0.0/15',
];
/** Order of the rules: what is let through, the link itself, what is refused; then the routes. */
const PRIORITY = { allowed: 100, link: 200, refused: 300 };

/** A TCP port of a host that is reached although its address is refused. */
export interface Destination {
  /** IPv4. */
  address: string;
  port: number;
}

export interface EgressOptions {
  /** Exceptions. */
  allowed?: readonly Destination[];
  /** Ports of the host's own loopback that are reached, by the address at which a guest finds its host. */
  loopbackPorts?: readonly number[];
  /** Private networks are reached; the host itself and cloud metadata are not. */
  privateNetworks?: boolean;
}

/** The network namespace of one machine, with a way out. */
export interface Egress extends AsyncDisposable {
  /** The file by which the namespace is joined. */
  path: string;
}

/**
 * Makes a network namespace whose connections pasta makes anew on the host, as a user's program would. What is refused
 * is refused by rules in the namespace, which its machine cannot change. On failure nothing of it is left.
 * @param path a file that is made to hold the namespace
 * @throws CommandFailed, or an Error if pasta does not come up
 */
export async function openEgress(path: string, options: EgressOptions = {}): Promise<Egress> {
  await using stack = new AsyncDisposableStack();
  await writeFile(path, '', { flag: 'wx' });
  stack.defer(() => rm(path));
  await run('unshare', [`--net=${path}`, 'true']);
  stack.defer(async () => {
    // Lazily: whoever has just ended may hold it for a moment more.
    await run('umount', ['--lazy', path]);
  });
  const rules = rulesOf(options).map((rule) => `rule add ${rule.join(' ')}\n`);
  await run('nsenter', [`--net=${path}`, 'ip', '-batch', '-'], { input: Readable.from(rules) });
  const pasta = await startPasta(path, options);
  stack.defer(() => end(pasta));
  const owned = stack.move();
  return { path, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Removes the namespaces that an earlier node has left in a folder, whose pasta ended with it. */
export async function sweepEgress(folder: string, prefix: string): Promise<void> {
  for (const name of (await readdir(folder)).filter((one) => one.startsWith(prefix))) {
    // After a start of the host only the file is left.
    await run('umount', ['--lazy', join(folder, name)]).catch(() => '');
    await rm(join(folder, name));
  }
}

function rulesOf({ allowed = [], privateNetworks = false }: EgressOptions): string[][] {
  const refused = [...LOCAL_RANGES, ...hostNetworks(privateNetworks), ...(privateNetworks ? [] : PRIVATE_RANGES)];
  const through = ['lookup', 'main'];
  return [
    ...allowed.map(({ address, port }) => [
      ...['priority', String(PRIORITY.allowed), 'to', address],
      ...['ipproto', 'tcp', 'dport', String(port), ...through],
    ]),
    ['priority', String(PRIORITY.link), 'to', LINK.network, ...through],
    ...[...new Set(refused)].map((range) => ['priority', String(PRIORITY.refused), 'to', range, 'prohibit']),
  ];
}

/** The host's own addresses, however public they are, and the networks that it is in. */
function hostNetworks(privateNetworks: boolean): string[] {
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return own
    .filter(({ family }) => family === 'IPv4')
    .flatMap(({ address, cidr }) =>
      privateNetworks || cidr === null ? [`${address}/32`] : [`${address}/32`, networkOf(cidr)],
    );
}

/** "192.0.2.7/24" is in 192.0.2.0/24. */
function networkOf(cidr: string): string {
  const [address = '', length = '32'] = cidr.split('/');
  const bits = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const size = 2 ** (32 - Number(length));
  const first = Math.floor(bits / size) * size;
  return `${[24, 16, 8, 0].map((shift) => Math.floor(first / 2 ** shift) % 256).join('.')}/${length}`;
}

/** Started in the foreground under the node, whose end is its own; resolves once the namespace has its address. */
async function startPasta(path: string, options: EgressOptions): Promise<ChildProcess> {
  const monitor = start(['nsenter', `--net=${path}`, 'ip', '-4', 'monitor', 'address']);
  try {
    const has = seesAddress(monitor);
    // By the end of another command in the same namespace the monitor listens.
    await run('nsenter', [`--net=${path}`, 'ip', 'link']);
    const pasta = start(pastaCommand(path, options));
    try {
      using limit = deadline(READY_MS);
      await orAborted(Promise.race([has, failed(pasta)]), limit.signal);
      return pasta;
    } catch (error) {
      await end(pasta);
      throw error;
    }
  } finally {
    await end(monitor);
  }
}

function pastaCommand(path: string, { loopbackPorts = [] }: EgressOptions): string[] {
  return [
    ...['pasta', '--foreground', '--quiet', '--stderr', '--config-net', '--ipv4-only'],
    // Nothing of the host's loopback in the namespace but what is asked for, and no port of the namespace on the host.
    ...['--no-map-gw', '-t', 'none', '-u', 'none', '-U', 'none'],
    ...['-T', loopbackPorts.length === 0 ? 'none' : loopbackPorts.join(',')],
    ...['-a', LINK.address, '-n', LINK.netmask, '-g', LINK.gateway, '--dns-forward', RESOLVER_ADDRESS],
    // It drops its capabilities itself, and shuts itself in; as another user it could not join the namespace.
    ...['--runas', '0:0', '--netns-only', '--netns', path],
  ];
}

function start(command: string[]): ChildProcess {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...command], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // Told by `failed`, where anybody waits for it.
  return child.on('error', () => {});
}

async function seesAddress(monitor: ChildProcess): Promise<void> {
  if (!monitor.stdout) return;
  for await (const line of createInterface({ input: monitor.stdout })) if (line.includes(LINK.address)) return;
}

async function failed(pasta: ChildProcess): Promise<never> {
  let said = '';
  pasta.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    said = (said + chunk).slice(-1000);
  });
  const [code] = await Promise.race([once(pasta, 'close'), once(pasta, 'error')]);
  throw new CommandFailed('pasta', `exit code ${code}, expected it to run`, said, {});
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  killProcessGroup(child.pid);
  await once(child, 'exit');
}
