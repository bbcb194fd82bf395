import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import { PublicApi } from '../client/api.ts';
import { isItemHash } from '../client/find-program.ts';
import { locateNode } from '../client/locate.ts';
import type { RuntimeDetail } from '../client/network-schema.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { findKnownRuntime, type KnownRuntime } from '../known-runtimes.ts';
import { existingAddress } from '../publish/owner-key.ts';
import { type ContentPlaces, contentOf, contentOrThrow, licencesIn } from '../publish/runtime-content.ts';
import { findNamedRuntime, orUnknown, readRuntimeName } from '../publish/runtime-names.ts';
import { clean, cleanLine, formatBytes, formatTable } from '../terminal-text.ts';
import { wellKnownRuntime } from '../well-known-runtimes.ts';
import { runtimeAnswer, stateOf } from './runtime-ls.ts';

/** Programs that are named of those that use a runtime. */
const MAX_SHOWN_USERS = 5;

/** `vmlet runtime show`. */
export function registerRuntimeShow({ program, run }: Cli): void {
  const command = program
    .command('show')
    .summary('show what is in a runtime')
    .description(
      'Shows the manifest of a runtime: its system, interpreters, size and hashes; of one that is published on the node also ' +
        'its publisher, its versions, the programs that use it, and what it stands in for. A name is that of an official ' +
        'one, one of yours, or one of the operator; others are ADDRESS/NAME.',
    )
    .argument('<runtime>', 'name, item_hash or file_hash, or the folder of a recipe')
    .option('--sbom', 'print the list of what is in it: a document of SPDX 2.3, in JSON');
  addExamples(command, [
    ['vmlet runtime show debian-12-python', 'by name'],
    ['vmlet runtime show 0xA07B1214bAe0D5ccAA25449C3149c0aC83658874/theirs@2', 'of another publisher'],
    [`vmlet runtime show debian-12-python --sbom | jq -r '.packages[].name'`, 'every package of it'],
    ['vmlet runtime show ./runtimes/mine', 'of a recipe: whether it is built, and what came of it'],
  ]);
  command.action(async (wanted: string, options: { sbom?: boolean }, self: Command) => {
    await run(self, (context) => show(wanted, options.sbom === true, context));
  });
}

async function show(wanted: string, isSbom: boolean, context: Context): Promise<undefined> {
  const { output } = context;
  const local = await orUndefined(findKnownRuntime(wanted, context));
  const published = await findPublished(local?.published[0]?.itemHash ?? wanted, context);
  const runtime = local ?? (published && ofPublished(published));
  if (runtime === undefined) throw unknown(wanted) ?? (await findKnownRuntime(wanted, context));
  const places = await placesOf({ runtime, published }, context);
  if (isSbom) {
    await output.bytes(clean(await contentOrThrow(wanted, places)), context.signal);
    return;
  }
  if (output.isJson) {
    output.json({ ...runtimeAnswer(runtime), network: published ?? null });
    return;
  }
  const licences = await licencesOf(places);
  const rows = [...rowsOf(runtime, licences), ...(published === undefined ? [] : networkRows(published))];
  for (const line of formatTable(rows)) output.line(line);
  if (runtime.manifest === undefined) output.note(`Build it with: vmlet runtime build ${wanted}`);
}

/** Where the list of its content may be: here, or on the node that it is published on. */
async function placesOf(
  { runtime, published }: { runtime: KnownRuntime; published: RuntimeDetail | undefined },
  context: Context,
): Promise<ContentPlaces> {
  const itemHash = published?.metadata.sbom;
  const node = itemHash === undefined ? undefined : await orUndefined(locateNode(context));
  return {
    sbomPath: runtime.sbomPath,
    published: itemHash === undefined || node === undefined ? undefined : { itemHash, api: new PublicApi(node.url) },
    signal: context.signal,
  };
}

/** In one line; nothing where the list is not to be had, for it is one line of many. */
async function licencesOf(places: ContentPlaces): Promise<string | undefined> {
  try {
    const text = await contentOf(places);
    return text === undefined ? undefined : licencesIn(text);
  } catch (error) {
    if (places.signal.aborted) throw error;
    return undefined;
  }
}

/** What a node knows of it; undefined where none runs, or knows nothing. */
async function findPublished(wanted: string, context: Context): Promise<RuntimeDetail | undefined> {
  const node = await orUndefined(locateNode(context));
  const name = readRuntimeName(wanted);
  if (node === undefined || (!isItemHash(wanted) && name === undefined)) return undefined;
  const { paths, signal } = context;
  const api = new PublicApi(node.url);
  const detail = async (hash: string) => await api.runtime(hash, signal).catch(orUnknown);
  if (isItemHash(wanted) || name === undefined) return await orUndefined(detail(wanted));
  const own = await existingAddress(paths.config);
  const found = await orUndefined(findNamedRuntime(name, { api, own, signal }));
  return found && (await detail(found.item_hash));
}

/** Nothing in the place of what is not there. */
async function orUndefined<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof CliError && /^(RUNTIME_UNKNOWN|NODE_NOT_RUNNING|NODE_UNREACHABLE)$/.test(error.code)) return;
    throw error;
  }
}

function unknown(wanted: string): CliError | undefined {
  const equivalent = wellKnownRuntime(wanted)?.name;
  if (equivalent === undefined) return undefined;
  const found = `it is one of the reference network, is not here, and nothing stands in for it (its equivalent is ${equivalent})`;
  const known = 'those that are imported, or have an alias';
  return new CliError('RUNTIME_UNKNOWN', { operands: { runtime: wanted, found, known } });
}

function ofPublished({ metadata, item_hash: itemHash, address }: RuntimeDetail): KnownRuntime {
  const { name, version } = metadata;
  const published = [{ itemHash, address }];
  return { name, version, recipePath: undefined, manifest: metadata, imagePath: undefined, published };
}

function row(key: string, value: string | undefined): string[][] {
  return value === undefined || value === '' ? [] : [[key, cleanLine(value)]];
}

function rowsOf(runtime: KnownRuntime, licences: string | undefined): string[][] {
  const { name, version, manifest, recipePath, imagePath, published } = runtime;
  return [
    ...row('name', name),
    ...row('version', version),
    ...row('state', stateOf(runtime)),
    ...row('description', manifest?.description),
    ...row('system', manifest?.os),
    ...Object.entries(manifest?.interpreters ?? {}).flatMap(([language, { path, version: one, others = [] }]) =>
      row(language, [{ path, version: one }, ...others].map((it) => `${it.version} (${it.path})`).join(', ')),
    ),
    ...factRows(manifest),
    ...row('licences', licences),
    ...row('filesystem', manifest?.filesystem),
    ...row('init', manifest?.init),
    ...row('size', manifest && sizesOf(manifest)),
    ...row('file_hash', manifest?.fileHash),
    ...row('image', imagePath),
    ...row('recipe', recipePath),
    ...published.flatMap(({ itemHash, address }) => row('item_hash', `${itemHash} of ${address}`)),
  ];
}

function factRows(manifest: KnownRuntime['manifest']): string[][] {
  const { packages, largestPackages = [], kernel } = manifest ?? {};
  const largest = largestPackages.map(({ name, installedBytes }) => `${name} (${formatBytes(installedBytes)})`);
  return [
    ...row('packages', packages && `${packages.count} (${packages.manager})`),
    ...row('largest', largest.join(', ')),
    ...row('kernel', kernel && `${kernel.minVersion} or newer, with ${kernel.modules.join(', ')}`),
  ];
}

function sizesOf({ sizeBytes, unpackedBytes }: NonNullable<KnownRuntime['manifest']>): string {
  const unpacked = unpackedBytes === undefined ? '' : `, ${formatBytes(unpackedBytes)} unpacked`;
  return `${formatBytes(sizeBytes)}${unpacked}`;
}

function networkRows(detail: RuntimeDetail): string[][] {
  const { address, names, versions, used_by: users, alias, stands_in_for: standsInFor, metadata } = detail;
  const shown = users.programs.slice(0, MAX_SHOWN_USERS).map((one) => one.item_hash.slice(0, 12));
  const more = users.count > shown.length ? ', ...' : '';
  const used = users.count === 0 ? 'no program here' : `${users.count} (${shown.join(', ')}${more})`;
  return [
    ...row('publisher', address),
    ...row('published as', names.map((name) => `${address}/${name}`).join(', ')),
    ...row('versions', versions.map((one) => `${one.version} (${one.item_hash.slice(0, 12)})`).join(', ')),
    ...row('used by', used),
    ...(alias === null ? [] : row('alias', `${alias.hash} leads here, by the operator`)),
    ...standsInFor.flatMap((hash) => row('stands in for', hash)),
    ...row('recipe message', metadata.recipe),
    ...row('lock message', metadata.lock),
    ...row('packages message', metadata.packageStore),
    ...row('sbom message', metadata.sbom),
  ];
}
