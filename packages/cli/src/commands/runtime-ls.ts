import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import { PublicApi } from '../client/api.ts';
import { locateNode } from '../client/locate.ts';
import type { NetworkRuntime } from '../client/network-schema.ts';
import type { Context } from '../context.ts';
import { type KnownRuntime, knownRuntimes } from '../known-runtimes.ts';
import { cleanLine, formatBytes, formatTable } from '../terminal-text.ts';

/** How many runtimes of the network are shown. */
const PER_PAGE = 100;
const MAX_PAGES = 10;

interface LsOptions {
  network?: boolean;
  publisher?: string;
}

/** `vmlet runtime ls`. */
export function registerRuntimeLs({ program, run }: Cli): void {
  const command = program
    .command('ls')
    .alias('list')
    .summary('list runtimes: recipes, images and what the node has')
    .description(
      'Lists the official recipes, with what was built of them in the cache, and the runtimes that the node has. Works ' +
        'without a node, too. With --network: all that are published on the node, whoever published them.',
    )
    .option('--network', 'what everybody has published on the node, the newest first')
    .option('--publisher <address>', 'of these, what one address has published');
  addExamples(command, [
    ['vmlet runtime ls', 'a table'],
    ['vmlet runtime ls --network --node https://node.example', 'what is published on another node'],
    [`vmlet runtime ls --json | jq -r '.runtimes[] | select(.built) | .name'`, 'what needs no building'],
  ]);
  command.action(async (options: LsOptions, self: Command) => {
    const isNetwork = options.network === true || options.publisher !== undefined;
    await run(self, (context) => (isNetwork ? listNetwork(options, context) : list(context)));
  });
}

/** What is published on a node; more than so many are not shown. */
async function listNetwork({ publisher }: LsOptions, context: Context): Promise<undefined> {
  const { output, signal } = context;
  const node = await locateNode(context);
  const api = new PublicApi(node.url);
  const query = { ...(publisher === undefined ? {} : { addresses: [publisher] }), perPage: PER_PAGE, signal };
  const runtimes: NetworkRuntime[] = [];
  let total = 0;
  for (let page = 1; page <= MAX_PAGES; page += 1) {
    const got = await api.runtimes({ ...query, page });
    total = got.pagination_total;
    runtimes.push(...got.runtimes);
    if (page * PER_PAGE >= total) break;
  }
  if (output.isJson) {
    output.json({ runtimes, total });
    return;
  }
  const rows = runtimes.map((one) => {
    const { name, version, os, filesystem } = one.metadata;
    return [name, version, os || '-', filesystem, formatBytes(one.size), one.address, one.item_hash].map(cleanLine);
  });
  const columns = ['NAME', 'VERSION', 'SYSTEM', 'FILESYSTEM', 'SIZE', 'PUBLISHER', 'ITEM_HASH'];
  const [head = '', ...lines] = formatTable([columns, ...rows]);
  for (const line of [output.colors.dim(head), ...lines]) output.line(line);
  if (total > PER_PAGE * MAX_PAGES) output.note(`There are ${total}; name one publisher with --publisher ADDRESS`);
}

async function list(context: Context): Promise<undefined> {
  const { output } = context;
  const runtimes = await knownRuntimes(context);
  if (output.isJson) {
    output.json({ runtimes: runtimes.map(runtimeAnswer) });
    return;
  }
  const rows = runtimes.map((runtime) => [
    cleanLine(runtime.name),
    cleanLine(runtime.version),
    stateOf(runtime),
    runtime.manifest ? formatBytes(runtime.manifest.sizeBytes) : '-',
    runtime.manifest?.fileHash.slice(0, 12) ?? '-',
  ]);
  const [head = '', ...lines] = formatTable([['NAME', 'VERSION', 'STATE', 'SIZE', 'FILE'], ...rows]);
  for (const line of [output.colors.dim(head), ...lines]) output.line(line);
}

/** What is known of a runtime, as JSON has it. */
export function runtimeAnswer({ name, version, recipePath, manifest, imagePath, published }: KnownRuntime) {
  return {
    ...{ name, version, recipe: recipePath ?? null, built: imagePath !== undefined, image: imagePath ?? null },
    ...{ fileHash: manifest?.fileHash ?? null, sizeBytes: manifest?.sizeBytes ?? null, published },
    manifest: manifest ?? null,
  };
}

/** Where a runtime is. */
export function stateOf({ imagePath, published }: KnownRuntime): string {
  const states = [imagePath === undefined ? '' : 'built', published.length === 0 ? '' : 'published'].filter(Boolean);
  return states.join(', ') || 'not built';
}
