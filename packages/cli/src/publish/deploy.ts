import { resolve } from 'node:path';
import type { Paths } from '@vmlet/host';
import type { Signer } from '@vmlet/messages/sign';
import { PublicApi } from '../client/api.ts';
import { type NodeAddress, ownerOf } from '../client/locate.ts';
import { OwnerClient } from '../client/owner.ts';
import { checkEntrypoint, detectEntrypoint } from '../detect.ts';
import type { Output } from '../output.ts';
import { type SourceFolder, walkFolder } from '../pack/walk.ts';
import { packFiles, zipEntries } from '../pack/zip.ts';
import { cleanLine, formatBytes } from '../terminal-text.ts';
import { moveName, planName } from './name.ts';
import { type ProgramSpec, type Publisher, publishProgram, storeFile } from './publisher.ts';
import { installRequirements } from './requirements.ts';
import { type ResolvedRuntime, resolveRuntime } from './runtime.ts';

/** What is to be deployed. */
export interface DeployRequest extends Pick<ProgramSpec, 'memoryMiB' | 'vcpus' | 'seconds' | 'variables'> {
  /** Absolute, or relative to the working folder. */
  folder: string;
  /** Name or item_hash. */
  runtime: string;
  /** Guessed where absent. */
  entrypoint?: string | undefined;
  /** The folder's where absent. */
  name?: string | undefined;
  /** Whether the name moves only when the program has started; where absent, if another version serves. */
  wait?: boolean | undefined;
  channel?: string | undefined;
}

export interface DeployTarget {
  node: NodeAddress;
  paths: Pick<Paths, 'cache' | 'config'>;
  /** Whose program it becomes; asked for when the folder has passed all checks. */
  signer: () => Promise<Signer>;
  output: Output;
  signal: AbortSignal;
}

/** What came of it; the answer of `deploy --json`. */
export interface Deployment {
  itemHash: string;
  name: string;
  /** Of the name; null where only the URL of the node is known. */
  version: number | null;
  /** By name, so that it stays with the next version; by item_hash where only the URL of the node is known. */
  url: string;
  /** The same on a host name of its own; null where only the URL of the node is known. */
  hostUrl: string | null;
  /** Of this version, for ever. */
  versionUrl: string;
  versionHostUrl: string | null;
  entrypoint: string;
  runtime: { itemHash: string; name: string };
  code: { itemHash: string; fileHash: string; sizeBytes: number; files: number; uploaded: boolean };
  ignored: readonly string[];
}

/** Packs a folder, installs its requirements, uploads what the node lacks and publishes the program. */
export async function deployFolder(request: DeployRequest, target: DeployTarget): Promise<Deployment> {
  const { output, signal, node, paths } = target;
  const path = resolve(request.folder);
  const folder = await walkFolder(path, { signal });
  tellIgnored(folder, output);
  const { entrypoint } = await chooseEntrypoint(request, { folder, path, output });
  output.step('Packing', `${folder.files.length} files, ${formatBytes(folder.sizeBytes)}`);
  const files = await packFiles(folder.files, { folder: path, signal });

  const api = new PublicApi(node.url);
  const signer = await target.signer();
  const publisher: Publisher = { signer, api, output, channel: request.channel, signal };
  const owner = node.ownerSocket === undefined ? undefined : new OwnerClient(node.ownerSocket);
  const tools = { owner, output, signal };
  const { address } = signer;
  const plan = await planName({ told: request.name, folder: path, address }, tools);
  const { name } = plan;
  output.step(`Finding the runtime ${request.runtime}`);
  const runtime = await resolveRuntime(request.runtime, publisher, { owner, cache: paths.cache });
  const packages = await installRequirements(folder, {
    path,
    runtime,
    owner: () => ownerOf(node, { what: 'install requirements.txt', instead: ', or deploy without requirements.txt' }),
    cache: paths.cache,
    output,
    signal,
  });
  const zip = zipEntries([...files, ...(packages ?? [])], 'code.zip', { folder: path });
  output.step(`Publishing ${cleanLine(name)} (${formatBytes(zip.sizeBytes)})`);
  const code = await storeFile(publisher, zip);
  const { memoryMiB, vcpus, seconds, variables } = request;
  const itemHash = await publishProgram(publisher, {
    ...{ name, entrypoint, memoryMiB, vcpus, seconds, variables },
    codeRef: code.itemHash,
    runtimeRef: runtime.itemHash,
    runtimeName: runtime.name,
  });
  const named = await moveName(plan, { itemHash, wait: request.wait }, tools);
  output.settle();
  const { url, hostUrl } = await urlsOf(itemHash, { node, owner, signal });
  return {
    ...{ itemHash, name, entrypoint, version: named.version },
    ...{ url: named.url ?? url, hostUrl: named.hostUrl ?? hostUrl, versionUrl: url, versionHostUrl: hostUrl },
    runtime: shown(runtime),
    code: { ...code, sizeBytes: zip.sizeBytes, files: folder.files.length },
    ignored: folder.ignored,
  };
}

async function chooseEntrypoint(
  { entrypoint: told }: DeployRequest,
  { folder, path, output }: { folder: SourceFolder; path: string; output: Output },
): Promise<{ entrypoint: string }> {
  if (told !== undefined) return checkEntrypoint(told, folder);
  const guess = await detectEntrypoint(folder, path);
  output.note(
    `Guessed the entrypoint ${guess.entrypoint}: ${cleanLine(guess.reason)} (other: --entrypoint MODULE:NAME)`,
  );
  return guess;
}

/** The node itself says what the host name of a program is. */
async function urlsOf(
  itemHash: string,
  { node, owner, signal }: { node: NodeAddress; owner: OwnerClient | undefined; signal: AbortSignal },
): Promise<{ url: string; hostUrl: string | null }> {
  const listed = (await owner?.programs(signal))?.find((program) => program.itemHash === itemHash);
  return { url: listed?.url ?? `${node.url}/vm/${itemHash}/`, hostUrl: listed?.hostUrl ?? null };
}

function tellIgnored({ ignored }: SourceFolder, output: Output): void {
  if (ignored.length === 0) return;
  const more = ignored.length > 5 ? ` and ${ignored.length - 5} more` : '';
  output.note(`Left out: ${ignored.slice(0, 5).map(cleanLine).join(', ')}${more}`);
}

function shown({ itemHash, name }: ResolvedRuntime): { itemHash: string; name: string } {
  return { itemHash, name };
}
