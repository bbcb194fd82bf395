import { once } from 'node:events';
import { type Command, Option } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import type { Context } from '../context.ts';
import { allowList, durationMs, listenAddress, uidRange, wholeNumber } from '../option-values.ts';

interface UpOptions {
  listen: { host: string; port: number };
  allow: 'own' | 'any' | string[];
  domain?: string;
  idle?: number;
  memoryBudget?: number;
  logLevel: string;
  requireConfinement?: true;
  allowPrivateNetwork?: true;
  machineUids?: { first: number; count: number };
}

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];
const DEFAULT_LISTEN = '127.0.0.1:4020';

/** `vmlet up`. */
export function registerUp({ program, run }: Cli): void {
  const command = program
    .command('up')
    .summary('run a node in the foreground')
    .description(
      'Starts a node on this machine and prints its URL when it accepts requests. It runs until Ctrl-C or SIGTERM, which ' +
        'let requests under way end; a second one ends it at once. The first start makes the boot kit.',
    )
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
    .option('--require-confinement', 'do not start where something that confines machines is missing')
    .option('--allow-private-network', 'let machines that use the internet reach private networks, too')
    .option('--machine-uids <first-last>', 'user ids for machines, where the node is root', uidRange)
    .addOption(new Option('--log-level <level>', 'of the log on stderr').choices(LOG_LEVELS).default('warn'));
  addExamples(command, [
    ['vmlet up', 'your own node; deploy to it from another terminal'],
    ['vmlet up --listen 127.0.0.1:0 --json', 'any free port; one JSON line says which'],
    ['vmlet up --home ./node-2 --listen 127.0.0.1:4021', 'a second node'],
  ]);
  showDefault(command);
  command.action(async (options: UpOptions, self: Command) => {
    await run(self, (context) => up(options, context));
  });
}

async function up(options: UpOptions, context: Context): Promise<undefined> {
  const { output, paths, signal } = context;
  const { listen, allow, domain, idle, memoryBudget, logLevel } = options;
  const { startNode } = await import('@vmlet/node');
  {
    await using node = await startNode({
      ...{ listen, allow, logLevel, signal },
      ...{ home: paths.home, cache: paths.cache, config: paths.config },
      ...(domain === undefined ? {} : { programDomain: domain }),
      ...(idle === undefined ? {} : { idleMs: idle }),
      ...(memoryBudget === undefined ? {} : { memoryBudgetMiB: memoryBudget }),
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
    if (!signal.aborted) await once(signal, 'abort');
    output.note('Stopping: requests under way are answered; Ctrl-C again ends at once');
  }
  output.note('Stopped');
}

function confinementOf({ requireConfinement, allowPrivateNetwork, machineUids }: UpOptions) {
  return {
    requireConfinement: requireConfinement === true,
    allowPrivateNetwork: allowPrivateNetwork === true,
    ...(machineUids ? { machineUids } : {}),
  };
}

/** A parsed default is an object; the help shows it as it is typed. */
function showDefault(command: Command): void {
  for (const option of command.options)
    if (option.long === '--listen') option.default(option.defaultValue, DEFAULT_LISTEN);
}
