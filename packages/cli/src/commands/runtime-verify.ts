import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import { PublicApi } from '../client/api.ts';
import { isItemHash } from '../client/find-program.ts';
import { locateNode } from '../client/locate.ts';
import type { RuntimeDetail } from '../client/network-schema.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { existingAddress } from '../publish/owner-key.ts';
import { findNamedRuntime, readRuntimeName } from '../publish/runtime-names.ts';
import { verifyRuntime } from '../publish/verify-runtime.ts';
import { cleanLine } from '../terminal-text.ts';
import { checkReachable } from './check-reachable.ts';

/** Differences that are shown; --json has them all. */
const MAX_SHOWN = 20;
/** As much of each side as fits beside the other. */
const MAX_SIDE_CHARS = 200;

/** `vmlet runtime verify`. */
export function registerRuntimeVerify({ program, run }: Cli): void {
  const command = program
    .command('verify')
    .summary('build a published runtime again, and compare')
    .description(
      'Fetches the recipe and the lock file of a published runtime as its publisher signed them, builds them again from ' +
        'nothing, and compares the image, its manifest and the list of its content. Packages come from the node where it ' +
        'has them, else from mirrors, and have to be those of the lock file. Whoever wrote the recipe, it runs in a box ' +
        'only: not as root of this machine, seeing nothing of it, without network. Ends with 7 if anything differs.',
    )
    .argument('<hash|name>', 'item_hash or name of a published runtime');
  addExamples(command, [
    ['vmlet runtime verify mine', 'one of yours'],
    ['vmlet runtime verify 0xA07B1214bAe0D5ccAA25449C3149c0aC83658874/theirs@2', 'of another publisher'],
    ['vmlet runtime verify mine --json | jq .differences', 'all that differs'],
  ]);
  command.action(async (wanted: string, _options: unknown, self: Command) => {
    await run(self, (context) => verify(wanted, context));
  });
}

async function verify(wanted: string, context: Context): Promise<undefined> {
  const { output, paths, signal } = context;
  const node = await locateNode(context);
  await checkReachable(node, signal);
  const api = new PublicApi(node.url);
  const runtime = await find(wanted, api, context);
  const { built, differences } = await verifyRuntime(runtime, { api, output, cache: paths.cache, signal });
  output.settle();
  const { item_hash: itemHash, file_hash: fileHash, metadata } = runtime;
  const isSame = differences.length === 0;
  if (output.isJson) output.json({ itemHash, fileHash, verified: isSame, built: built.manifest, differences });
  if (isSame) {
    if (!output.isJson)
      output.line(`${cleanLine(metadata.name)} ${cleanLine(metadata.version)} is what its recipe makes: ${fileHash}`);
    return;
  }
  for (const { what, published, built: own } of output.isJson ? [] : differences.slice(0, MAX_SHOWN)) {
    output.line(cleanLine(what));
    output.line(`  published: ${cleanLine(published).slice(0, MAX_SIDE_CHARS)}`);
    output.line(`  built:     ${cleanLine(own).slice(0, MAX_SIDE_CHARS)}`);
  }
  if (differences.length > MAX_SHOWN) output.note(`There are ${differences.length}; --json has them all`);
  const { builder = 'an unknown builder' } = metadata;
  const found = `${differences.length} differences, first: ${differences[0]?.what}`;
  const operands = { runtime: wanted, found, theirs: builder, own: built.manifest.builder ?? '' };
  throw new CliError('RUNTIME_DIFFERS', { operands });
}

/** @throws CliError `RUNTIME_UNKNOWN`; ProblemError `RUNTIME_UNKNOWN` */
async function find(wanted: string, api: PublicApi, { paths, signal }: Context): Promise<RuntimeDetail> {
  if (isItemHash(wanted)) return await api.runtime(wanted, signal);
  const name = readRuntimeName(wanted);
  if (name === undefined) {
    const operands = {
      runtime: wanted,
      found: 'it is no name and no hash',
      known: 'those of `vmlet runtime ls --network`',
    };
    throw new CliError('RUNTIME_UNKNOWN', { operands });
  }
  const own = await existingAddress(paths.config);
  const found = await findNamedRuntime(name, { api, own, signal });
  return await api.runtime(found.item_hash, signal);
}
