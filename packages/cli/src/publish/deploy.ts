import { join } from 'node:path';
import type { Paths } from '@vmlet/host';
import type { Signer } from '@vmlet/messages/sign';
import { PublicApi } from '../client/api.ts';
import { type NodeAddress, ownerOf } from '../client/locate.ts';
import { OwnerClient } from '../client/owner.ts';
import { OWN_COMMAND } from '../detect/own-command.ts';
import { CliError } from '../errors.ts';
import { installModules } from '../modules/install.ts';
import type { Output } from '../output.ts';
import { packFiles, type ZipEntry, zipEntries } from '../pack/zip.ts';
import { cleanLine, formatBytes } from '../terminal-text.ts';
import type { InstallOptions, InstallRequest } from './install.ts';
import { moveName, planName } from './name.ts';
import { type Prepared, type PrepareRequest, prepare } from './prepare.ts';
import { publishProgramName } from './program-names.ts';
import { type ProgramSpec, type Publisher, publishProgram, storeFile } from './publisher.ts';
import { installRequirements, SITE_PACKAGES } from './requirements.ts';
import { type ResolvedRuntime, resolveRuntime } from './runtime.ts';

/** What is to be deployed. */
export interface DeployRequest
  extends PrepareRequest,
    Pick<ProgramSpec, 'memoryMiB' | 'vcpus' | 'seconds' | 'variables' | 'snapshot' | 'internet'>,
    Pick<ProgramSpec, 'http' | 'onMessage' | 'onMessagePath'> {
  /** Name or item_hash; the official one that suits the program where absent. */
  runtime?: string | undefined;
  /** The folder's or file's where absent. */
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
  /** npm's settings of this user; undefined for none. */
  npmConfig?: string | undefined;
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
  kind: 'python' | 'node' | 'executable';
  entrypoint: string;
  args: readonly string[];
  runtime: { itemHash: string; name: string };
  code: { itemHash: string; fileHash: string; sizeBytes: number; files: number; uploaded: boolean };
  ignored: readonly string[];
}

/**
 * Packs a folder or file, installs what it depends on, uploads what the node lacks, publishes the program and leads its
 * name to it.
 */
export async function deployFolder(request: DeployRequest, target: DeployTarget): Promise<Deployment> {
  return await publishPacked(await pack(request, target), request, target);
}

/** A program whose files are read: the folder may change from now on. */
export interface Packed {
  prepared: Prepared;
  files: readonly ZipEntry[];
}

/** Finds out what a folder's program is and reads all that belongs to it; nothing is sent or built. */
export async function pack(request: PrepareRequest, target: Pick<DeployTarget, 'output' | 'signal'>): Promise<Packed> {
  const prepared = await prepare(request, target);
  const { output, signal } = target;
  output.step('Packing', `${prepared.files.length} files`);
  const files = await packFiles(prepared.files, { folder: prepared.path, signal });
  return { prepared, files: [...files, ...prepared.made] };
}

/** Publishes what is packed, with what it depends on, and leads the name to it. */
export async function publishPacked(
  { prepared, files }: Packed,
  request: DeployRequest,
  target: DeployTarget,
): Promise<Deployment> {
  const { output, signal, node, paths } = target;
  const { plan, path, folder } = prepared;
  const signer = await target.signer();
  const publisher: Publisher = { signer, api: new PublicApi(node.url), output, channel: request.channel, signal };
  const owner = node.ownerSocket === undefined ? undefined : new OwnerClient(node.ownerSocket);
  const tools = { owner, output, signal };
  const naming = { told: request.name, folder: prepared.name, address: signer.address };
  const namePlan = await planName(naming, tools);
  const { name } = namePlan;
  const wanted = request.runtime ?? plan.runtime;
  if (request.runtime === undefined && plan.runtimeReason !== undefined) {
    output.note(`Chose the runtime ${wanted}: ${cleanLine(plan.runtimeReason)} (other: --runtime NAME)`);
  }
  output.step(`Finding the runtime ${wanted}`);
  const runtime = await resolveRuntime(wanted, publisher, { owner, cache: paths.cache });
  if (plan.entrypoint === OWN_COMMAND && runtime.hasCommand === false)
    throw prepared.unless ?? new CliError('RUNTIME_COMMANDLESS', { operands: { runtime: wanted } });
  const installed = await installDependencies(prepared, { runtime, target });
  const zip = zipEntries([...files, ...installed.entries], 'code.zip', { folder: path });
  output.step(`Publishing ${cleanLine(name)} (${formatBytes(zip.sizeBytes)})`);
  const code = await storeFile(publisher, zip);
  const { memoryMiB, vcpus, seconds, snapshot, internet, http, onMessage, onMessagePath } = request;
  const { entrypoint, args, kind } = plan;
  const itemHash = await publishProgram(publisher, {
    ...{ name, kind, entrypoint, args, memoryMiB, vcpus, seconds, snapshot, internet },
    ...{ http, onMessage, onMessagePath },
    variables: { ...installed.variables, ...plan.variables, ...request.variables },
    codeRef: code.itemHash,
    runtimeRef: runtime.itemHash,
    runtimeName: runtime.name,
  });
  const named = await moveName(namePlan, { itemHash, wait: request.wait }, tools);
  // Whose node it is decides what names mean on it: others find the program by its owner and name.
  if (owner === undefined) await publishProgramName(publisher, name, itemHash);
  output.settle();
  if (owner === undefined) output.note(`Its name is ${signer.address}/${cleanLine(name)}`);
  const { url, hostUrl } = await urlsOf(itemHash, { node, owner, signal });
  return {
    ...{ itemHash, name, version: named.version, kind, entrypoint, args },
    ...{ url: named.url ?? url, hostUrl: named.hostUrl ?? hostUrl, versionUrl: url, versionHostUrl: hostUrl },
    runtime: shown(runtime),
    code: { ...code, sizeBytes: zip.sizeBytes, files: files.length + installed.entries.length },
    ignored: folder.ignored,
  };
}

interface Installed {
  entries: readonly ZipEntry[];
  variables: Record<string, string>;
}

/** Requirements of Python and packages of Node.js, installed inside the runtime. */
async function installDependencies(
  { plan, folder, modules, path }: Prepared,
  { runtime, target }: { runtime: ResolvedRuntime; target: DeployTarget },
): Promise<Installed> {
  const { node, paths, output, signal, npmConfig } = target;
  const owner = ({ file }: InstallRequest) => {
    const instead = file === 'package.json' ? ', or run npm install and deploy again' : `, or deploy without ${file}`;
    return ownerOf(node, { what: `install ${file}`, instead });
  };
  const options: InstallOptions = { path, runtime, owner, cache: paths.cache, output, signal };
  if (modules.from === 'install') {
    return { entries: await installModules(folder, { ...options, userConfig: npmConfig }), variables: {} };
  }
  if (plan.language !== 'python') return { entries: [], variables: {} };
  const entries = (await installRequirements(folder, options)) ?? [];
  // The launcher for Python knows where its packages are; a process of its own has to be told.
  const isTold = plan.kind === 'executable' && entries.length > 0;
  return { entries, variables: isTold ? { PYTHONPATH: join('/opt/code', SITE_PACKAGES) } : {} };
}

/** The node itself says what the host name of a program is. */
async function urlsOf(
  itemHash: string,
  { node, owner, signal }: { node: NodeAddress; owner: OwnerClient | undefined; signal: AbortSignal },
): Promise<{ url: string; hostUrl: string | null }> {
  const listed = (await owner?.programs(signal))?.find((program) => program.itemHash === itemHash);
  return { url: listed?.url ?? `${node.url}/vm/${itemHash}/`, hostUrl: listed?.hostUrl ?? null };
}

function shown({ itemHash, name }: ResolvedRuntime): { itemHash: string; name: string } {
  return { itemHash, name };
}
