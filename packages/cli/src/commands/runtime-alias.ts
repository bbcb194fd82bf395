import { itemHashSchema, sameAddress } from '@vmlet/messages/schema';
import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import { PublicApi } from '../client/api.ts';
import { locateNode, type NodeAddress } from '../client/locate.ts';
import type { ListedAlias } from '../client/network-schema.ts';
import { OwnerClient } from '../client/owner.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { loadSigner } from '../publish/owner-key.ts';
import { type Publisher, setAggregate } from '../publish/publisher.ts';
import { resolveRuntime } from '../publish/runtime.ts';
import { cleanLine, formatTable } from '../terminal-text.ts';
import { WELL_KNOWN_RUNTIMES, wellKnownRuntime } from '../well-known-runtimes.ts';
import { checkReachable } from './check-reachable.ts';

/** Key of the operator's AGGREGATE: a hash, and that of the STORE that stands in for it. */
const ALIASES_KEY = 'runtime-aliases';

interface AliasOptions {
  off?: boolean;
}

/** `vmlet runtime alias`. */
export function registerRuntimeAlias({ program, run }: Cli): void {
  const command = program
    .command('alias')
    .summary('have a runtime stand in for one that is not here')
    .description(
      'Programs made by clients of the reference network name its runtimes by their hashes. Where such a runtime is not on ' +
        'your node, another can stand in for it, by your word: a message that you sign, and that each answer of such a program ' +
        'tells of. Without arguments, lists what stands in for what. A runtime that is imported later is never passed over.',
    )
    .argument('[hash]', 'item_hash that programs name')
    .argument('[runtime]', 'what stands in for it (default: the official equivalent of a well-known one)')
    .option('--off', 'nothing stands in for it any more');
  const [first = { itemHash: '' }] = WELL_KNOWN_RUNTIMES;
  const short = `${first.itemHash.slice(0, 8)}...`;
  addExamples(command, [
    ['vmlet runtime alias', 'what there is, and which well-known ones there are'],
    [`vmlet runtime alias ${short} debian-12-python`, 'for the default runtime of the reference network'],
    [`vmlet runtime alias ${short} --off`, 'not any more'],
  ]);
  command.action(
    async (hash: string | undefined, runtime: string | undefined, options: AliasOptions, self: Command) => {
      await run(self, async (context) => {
        const node = await locateNode(context);
        await checkReachable(node, context.signal);
        if (hash === undefined) await list(node, context);
        else await set({ hash, runtime, isOff: options.off === true }, node, context);
        return undefined;
      });
    },
  );
}

async function list(node: NodeAddress, { output, signal }: Context): Promise<void> {
  const { aliases } = await new PublicApi(node.url).runtimes({ perPage: 1, signal });
  const known = WELL_KNOWN_RUNTIMES.filter(({ itemHash }) => !aliases.some((one) => one.hash === itemHash));
  if (output.isJson) {
    output.json({ aliases, wellKnown: WELL_KNOWN_RUNTIMES });
    return;
  }
  const rows = [
    ...aliases.map((one) => [one.hash, stateOf(one), one.target]),
    ...known.map(({ itemHash, name }) => [itemHash, 'off', `(${name})`]),
  ];
  const [head = '', ...lines] = formatTable([['HASH', 'STATE', 'STANDS IN'], ...rows]);
  for (const line of [output.colors.dim(head), ...lines]) output.line(cleanLine(line));
}

function stateOf({ active }: ListedAlias): string {
  return active ? 'on' : 'not used';
}

async function set(
  { hash, runtime, isOff }: { hash: string; runtime: string | undefined; isOff: boolean },
  node: NodeAddress,
  { output, paths, signal }: Context,
): Promise<void> {
  if (!itemHashSchema.safeParse(hash).success) throw malformed(hash);
  const signer = await loadSigner(paths.config, output);
  const api = new PublicApi(node.url);
  const { operator } = await api.runtimes({ perPage: 1, signal });
  if (!sameAddress(operator, signer.address)) {
    throw new CliError('OPERATOR_ONLY', { operands: { node: node.url, operator, address: signer.address } });
  }
  const publisher: Publisher = { signer, api, output, channel: undefined, signal };
  const target = isOff ? null : await targetOf({ hash, runtime }, { publisher, node, cache: paths.cache });
  await setAggregate(publisher, ALIASES_KEY, { [hash]: target });
  output.settle();
  if (output.isJson) output.json({ hash, target });
  else if (target === null) output.note(`Nothing stands in for ${hash} any more`);
  else output.line(target);
}

async function targetOf(
  { hash, runtime }: { hash: string; runtime: string | undefined },
  { publisher, node, cache }: { publisher: Publisher; node: NodeAddress; cache: string },
): Promise<string> {
  const wanted = runtime ?? wellKnownRuntime(hash)?.name;
  if (wanted === undefined) throw malformed(hash);
  const owner = node.ownerSocket === undefined ? undefined : new OwnerClient(node.ownerSocket);
  return (await resolveRuntime(wanted, publisher, { owner, cache })).itemHash;
}

function malformed(found: string): CliError {
  const expected = 'an item_hash, and a runtime to stand in for it where it is not a well-known one';
  const operands = { option: 'the hash', found, expected, help: 'vmlet runtime alias --help' };
  return new CliError('OPTION_MALFORMED', { operands });
}
