import { once } from 'node:events';
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import type { Context } from '../context.ts';
import { allowList, apiHost, duration, durationMs, listenAddress, wholeNumber } from '../option-values.ts';
import { notifyManager } from '../service/notify.ts';
import { uidRange } from '../uid-range.ts';
import { type UploadLimits, uploadLimits } from '../upload-limits.ts';

interface UpOptions {
  listen: { host: string; port: number };
  allow: 'own' | 'any' | string[];
  domain?: string;
  idle?: number;
  drainDelay?: number;
  memoryBudget?: number;
  snapshotBudget?: number;
  spareBudget?: number;
  pauseAfter?: number;
  trustForwarded?: boolean;
  apiHost?: string[];
  logLevel: string;
  requireConfinement?: true;
  allowPrivateNetwork?: true;
  internet?: 'any' | 'own' | 'none';
  machineUids?: { first: number; count: number };
  blockList?: string;
  uploadLimit?: UploadLimits;
  maxMachinesPerOwner?: number;
  maxMemoryPerOwner?: number;
  maxDiskPerOwner?: number;
  maxCpuPerOwner?: number;
  maxProgramsPerOwner?: number;
  maxMessagesPerOwner?: number;
  maxConnectionsPerClient?: number;
  minFreeDisk?: number;
  fileGrace?: number;
}

const MIB = 1024 * 1024;
const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];
const DEFAULT_LISTEN = '127.0.0.1:4020';

/** With what requests and machines get after it, less than a service manager waits. */
const MAX_DRAIN_DELAY_MS = 30_000;

const NOT_OPERATOR = '; as those below, not for the operator';
const cap = (name: string) => wholeNumber(`--max-${name}-per-owner`, { min: 0, max: 1e9 });

/** `vmlet up`. */
export function registerUp({ program, run }: Cli): void {
  const command = program
    .command('up')
    .summary('run a node in the foreground')
    .description(
      'Starts a node on this machine and prints its URL when it accepts requests. It runs until Ctrl-C or SIGTERM, which ' +
        'let requests under way end; a second one ends it at once. The first start makes the boot kit.',
    );
  addUpOptions(command);
  addExamples(command, [
    ['vmlet up', 'your own node; deploy to it from another terminal'],
    ['vmlet up --listen 127.0.0.1:0 --json', 'any free port; one JSON line says which'],
    ['vmlet up --allow any --max-machines-per-owner 2', 'for strangers too, within bounds'],
    ['vmlet up --home ./node-2 --listen 127.0.0.1:4021', 'a second node'],
  ]);
  command.action(async (options: UpOptions, self: Command) => {
    await run(self, (context) => up(options, context));
  });
}

async function up(options: UpOptions, context: Context): Promise<undefined> {
  const { output, paths, signal, env } = context;
  const { listen, allow, domain, idle, memoryBudget, trustForwarded, apiHost: apiHosts, logLevel } = options;
  const { snapshotBudget: snapshotBudgetMiB, spareBudget: spareBudgetMiB, pauseAfter: pauseAfterMs } = options;
  const { startNode } = await import('@vmlet/node');
  {
    await using node = await startNode({
      ...{ listen, allow, logLevel, signal },
      ...{ home: paths.home, cache: paths.cache, config: paths.config },
      ...(domain === undefined ? {} : { programDomain: domain }),
      ...(idle === undefined ? {} : { idleMs: idle }),
      ...(memoryBudget === undefined ? {} : { memoryBudgetMiB: memoryBudget }),
      ...(snapshotBudgetMiB === undefined ? {} : { snapshotBudgetMiB }),
      ...(spareBudgetMiB === undefined ? {} : { spareBudgetMiB }),
      ...(pauseAfterMs === undefined ? {} : { pauseAfterMs }),
      ...(trustForwarded === undefined ? {} : { trustForwarded }),
      ...(apiHosts === undefined ? {} : { apiHosts }),
      ...(options.drainDelay === undefined ? {} : { drainDelayMs: options.drainDelay }),
      ...boundsOf(options, context),
      ...keepingOf(options),
      ...confinementOf(options),
      onProgress: (step, detail) => output.step(step, detail),
    });
    const { url, ownerSocket, operator, backend } = node;
    output.settle();
    if (output.isJson) output.json({ url, ownerSocket, pid: process.pid, operator, backend });
    else {
      output.line(url);
      output.note(`Machines run on ${backend === 'kvm' ? 'KVM' : 'emulation (TCG): KVM does not work here'}`);
      if (node.unconfined.length > 0) output.note('Machines are confined less than they could be; see: vmlet doctor');
      output.note('Deploy from another terminal with: vmlet deploy FOLDER. Ctrl-C stops the node');
    }
    await notifyManager(['READY=1', `STATUS=Serving at ${url}`], { env, output });
    if (!signal.aborted) await once(signal, 'abort');
    await notifyManager(['STOPPING=1'], { env, output });
    output.note('Stopping: requests under way are answered; Ctrl-C again ends at once');
  }
  output.note('Stopped');
}

/** The options of a node that runs; a service is given them too. */
export function addUpOptions(command: Command): void {
  command
    .option(
      '-l, --listen <host:port>',
      'address to listen on; port 0 is any free one',
      listenAddress,
      listenAddress(DEFAULT_LISTEN),
    )
    .option('--allow <own|any|addresses>', 'who may publish and run programs here', allowList, 'own')
    .option('--domain <name>', 'programs get host names below it (default: vm.localhost)')
    .option('--idle <time>', 'stop a machine nobody has asked for so long, as 30s or 5m', durationMs)
    .option(
      '--memory-budget <MiB>',
      'memory of all machines together',
      wholeNumber('--memory-budget', { min: 64, max: 1e9 }),
    )
    .option(
      '--pause-after <time>',
      'pause a machine nobody has asked for so long, as 500ms or 10s',
      duration('--pause-after'),
    )
    .option(
      '--spare-budget <MiB>',
      'what of the memory machines may have that are started ahead',
      wholeNumber('--spare-budget', { min: 0, max: 1e9 }),
    )
    .option(
      '--snapshot-budget <MiB>',
      'disk for snapshots of machines, from which programs start quickly; 0 makes none (default: 8192)',
      wholeNumber('--snapshot-budget', { min: 0, max: 1e9 }),
    )
    .option(
      '--drain-delay <time>',
      'when told to stop, say so at /readyz so long before connections are refused (default: not at all)',
      duration('--drain-delay', { minMs: 0, maxMs: MAX_DRAIN_DELAY_MS }),
    )
    .option('--require-confinement', 'do not start where something that confines machines is missing')
    .addOption(
      new Option('--internet <any|own|none>', 'whose programs reach the internet, if they ask (default: any)').choices([
        'any',
        'own',
        'none',
      ]),
    )
    .option('--allow-private-network', 'let machines that use the internet reach private networks, too')
    .option('--machine-uids <first-last>', 'user ids for machines, where the node is root', uidRange)
    .option('--trust-forwarded', 'believe the forwarding headers of a proxy; only where nobody gets around it')
    .option('--api-host <host>', 'another host name of the API; may be given again', apiHost)
    .option('--block-list <file>', 'addresses and hashes this node has nothing to do with (default: in the home)')
    .option(
      '--upload-limit <kind=size>',
      'largest file: unsigned=25MiB, signed=100MiB, ipfs=1GiB, car=4GiB of others, trusted=4GiB of --allow ADDRESS',
      uploadLimits,
    )
    .option('--max-machines-per-owner <n>', `machines of one owner at once${NOT_OPERATOR}`, cap('machines'))
    .option('--max-memory-per-owner <MiB>', 'memory of those', cap('memory'))
    .option('--max-disk-per-owner <MiB>', 'files, code images and logs of one owner', cap('disk'))
    .option('--max-cpu-per-owner <seconds>', 'processor time of one owner in an hour', cap('cpu'))
    .option('--max-programs-per-owner <n>', 'programs of one owner', cap('programs'))
    .option('--max-messages-per-owner <MiB>', 'text of messages of one owner in an hour', cap('messages'))
    .option(
      '--max-connections-per-client <n>',
      'connections of one address',
      wholeNumber('--max-connections-per-client', { min: 1, max: 65_535 }),
    )
    .option(
      '--min-free-disk <MiB>',
      'take nothing new with less than this free (default: 1024, or 5 % of a smaller disk)',
      wholeNumber('--min-free-disk', { min: 0, max: 1e9 }),
    )
    .option(
      '--file-grace <time>',
      'keep a file that nothing needs so long, as 24h or 30m (default: 24h)',
      duration('--file-grace', { minMs: 0 }),
    )
    .addOption(new Option('--log-level <level>', 'of the log on stderr').choices(LOG_LEVELS).default('warn'));
  showDefault(command);
}

/** What is kept, and how much of the disk is left free. */
function keepingOf({ minFreeDisk, fileGrace }: UpOptions) {
  return {
    ...(minFreeDisk === undefined ? {} : { minFreeDiskBytes: minFreeDisk * MIB }),
    ...(fileGrace === undefined ? {} : { fileGraceMs: fileGrace }),
  };
}

/** What owners and clients may take; what is not given has the node's default. */
function boundsOf(options: UpOptions, { cwd }: Context) {
  const caps = {
    machines: options.maxMachinesPerOwner,
    memoryMiB: options.maxMemoryPerOwner,
    diskMiB: options.maxDiskPerOwner,
    cpuSeconds: options.maxCpuPerOwner,
    programs: options.maxProgramsPerOwner,
    messagesMiB: options.maxMessagesPerOwner,
  };
  const { blockList, maxConnectionsPerClient: connectionsPerClient, uploadLimit } = options;
  return {
    ...(uploadLimit === undefined ? {} : { uploadLimitsBytes: uploadLimit }),
    ownerCaps: Object.fromEntries(Object.entries(caps).filter(([, value]) => value !== undefined)),
    ...(blockList === undefined ? {} : { blockList: resolve(cwd, blockList) }),
    ...(connectionsPerClient === undefined ? {} : { gatewayLimits: { connectionsPerClient } }),
  };
}

function confinementOf({ requireConfinement, allowPrivateNetwork, machineUids, internet }: UpOptions) {
  return {
    requireConfinement: requireConfinement === true,
    allowPrivateNetwork: allowPrivateNetwork === true,
    ...(machineUids ? { machineUids } : {}),
    ...(internet === undefined ? {} : { internet }),
  };
}

/** A parsed default is an object; the help shows it as it is typed. */
function showDefault(command: Command): void {
  for (const option of command.options)
    if (option.long === '--listen') option.default(option.defaultValue, DEFAULT_LISTEN);
}
