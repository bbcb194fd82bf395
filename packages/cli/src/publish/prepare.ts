import { basename, dirname, resolve } from 'node:path';
import { bundleProgram } from '../bundle.ts';
import { type Detected, detectProgram, type ProgramPlan } from '../detect/index.ts';
import { ownCommandPlan } from '../detect/own-command.ts';
import { parsePackage } from '../detect/package-json.ts';
import { Sources } from '../detect/sources.ts';
import { CliError } from '../errors.ts';
import { chooseModules, type ModulesChoice } from '../modules/choose.ts';
import type { Output } from '../output.ts';
import { readIgnoreRules } from '../pack/ignore.ts';
import { checkPackLimits, kindOfPath, type SourceFile, type SourceFolder, walkFile, walkFolder } from '../pack/walk.ts';
import type { ZipEntry } from '../pack/zip.ts';
import { cleanLine, formatBytes } from '../terminal-text.ts';
import { isSource, nameOfSource } from './import-source.ts';

/** What is to be packed, as far as the user says. */
export interface PrepareRequest {
  /** A folder, or one file; absolute, or relative to the working folder. */
  folder: string;
  /** Guessed where absent. */
  entrypoint?: string | undefined;
  /** A command line in place of an entrypoint. */
  command?: string | undefined;
  /** Makes one file of a program for Node.js and its packages. */
  bundle?: boolean | undefined;
  /** What the runtime's image starts by itself is the program, whatever is in the folder. */
  ownCommand?: boolean | undefined;
  /** The runtime as the user named it: its image may start something by itself, where the folder has no program. */
  runtime?: string | undefined;
  /** Nothing of the folder goes along with a command of the runtime's own: the user named none. */
  isFolderDefault?: boolean | undefined;
  /** True to install packages inside the runtime in any case, false never to. */
  install?: boolean | undefined;
}

/** A program that is ready to be packed; nothing has been sent or built yet. */
export interface Prepared {
  /** The program's folder, or that of the one file. */
  path: string;
  /** The name of the folder or file. */
  name: string;
  plan: ProgramPlan;
  /** The program's own files, without what is installed. */
  folder: SourceFolder;
  modules: ModulesChoice;
  /** All files to pack. */
  files: readonly SourceFile[];
  /** What was made here, beside the files. */
  made: readonly ZipEntry[];
  /** Why there is no program in the folder, where the runtime's own command stands in for one. */
  unless?: CliError | undefined;
}

/**
 * Finds out what a folder's program is, what belongs to it and where its packages come from, and says so.
 * @throws CliError of walking, detection, modules and bundling
 */
export async function prepare(
  request: PrepareRequest,
  { output, signal }: { output: Output; signal: AbortSignal },
): Promise<Prepared> {
  if (isArchiveAlone(request))
    return preparedOwn({ request, folder: NO_FOLDER, path: resolve(request.folder) }, output);
  const target = resolve(request.folder);
  const isFile = (await kindOfPath(target)) === 'file';
  const path = isFile ? dirname(target) : target;
  const rules = await readIgnoreRules(path);
  const folder = isFile ? await walkFile(target) : await walkFolder(path, { rules, signal });
  const { entrypoint, command, bundle, install } = request;
  const told = { entrypoint, command, file: isFile ? basename(target) : undefined };
  const own = await ownCommandOf(request, () => detectProgram(folder, target, told));
  if (own.detected === undefined) return preparedOwn({ request, folder, path, unless: own.unless }, output);
  const { detected } = own;
  tell(detected, output);
  const { plan } = detected;
  const name = isFile ? basename(target).replace(/\.[^.]+$/, '') : basename(path);
  const manifest = folder.files.some((file) => file.path === 'package.json');
  const rest = { path, name, plan, folder };
  if (bundle) return { ...rest, ...(await bundled(rest, { output, signal })) };
  if (plan.kind === 'node' && JSX.test(plan.entrypoint)) {
    throw new CliError('BUNDLE_NEEDED', { operands: { entrypoint: plan.entrypoint } });
  }
  let modules: ModulesChoice = { from: 'nowhere' };
  if (plan.language === 'node' && manifest) {
    const text = await new Sources(folder).text('package.json');
    modules = await chooseModules(folder, {
      path,
      rules,
      install,
      signal,
      manifest: parsePackage(text, 'package.json'),
    });
    tellModules(modules, output);
  }
  const files = modules.from === 'folder' ? [...folder.files, ...modules.files] : folder.files;
  checkPackLimits(files, path);
  tellIgnored(folder, { modules, output });
  return { ...rest, modules, files, made: [] };
}

interface OwnCommand {
  /** Undefined where the runtime's own command is the program. */
  detected: Detected | undefined;
  /** Why nothing else is, where nobody asked for it. */
  unless?: CliError | undefined;
}

/** Whether the command of the runtime's image is what runs: as told, or because there is nothing else. */
async function ownCommandOf(request: PrepareRequest, detect: () => Promise<Detected>): Promise<OwnCommand> {
  const { runtime, ownCommand = false } = request;
  if (ownCommand) return { detected: undefined };
  try {
    return { detected: await detect() };
  } catch (error) {
    const isUnknown = error instanceof CliError && error.code === 'ENTRYPOINT_UNKNOWN';
    if (!isUnknown || runtime === undefined) throw error;
    return { detected: undefined, unless: error };
  }
}

const NO_FOLDER: SourceFolder = { files: [], ignored: [], folders: [], sizeBytes: 0 };

/** Who names an archive, and no folder or program, means what is in the archive. */
function isArchiveAlone({
  runtime,
  isFolderDefault = false,
  ownCommand,
  entrypoint,
  command,
}: PrepareRequest): boolean {
  if (!isFolderDefault || entrypoint !== undefined || command !== undefined) return false;
  return ownCommand === true || (runtime !== undefined && isSource(runtime));
}

function preparedOwn(
  found: { request: PrepareRequest; folder: SourceFolder; path: string; unless?: CliError | undefined },
  output: Output,
): Prepared {
  const { request, folder, path, unless } = found;
  const { runtime, isFolderDefault = false } = request;
  const files = isFolderDefault ? [] : folder.files;
  checkPackLimits(files, path);
  const along = files.length === 0 ? '' : `, with ${files.length} files of the folder in /opt/code`;
  output.note(`Running what the image of the runtime starts by itself${along}`);
  const isSourceName = isFolderDefault && runtime !== undefined && isSource(runtime);
  return {
    ...{ path, plan: ownCommandPlan('as told'), files, made: [], modules: { from: 'nowhere' }, unless },
    name: isSourceName ? nameOfSource(runtime) : basename(path),
    folder: { ...folder, files, ignored: isFolderDefault ? [] : folder.ignored },
  };
}

async function bundled(
  { path, plan, folder }: Pick<Prepared, 'path' | 'plan' | 'folder'>,
  { output, signal }: { output: Output; signal: AbortSignal },
): Promise<Pick<Prepared, 'modules' | 'files' | 'made' | 'plan'>> {
  if (plan.kind !== 'node') {
    const found = plan.kind === 'python' ? 'a program for Python' : 'an executable';
    throw new CliError('BUNDLE_UNSUITED', { operands: { entrypoint: plan.entrypoint, found } });
  }
  output.step('Bundling', plan.entrypoint);
  const { entries, inputs, entrypoint, sizeBytes } = await bundleProgram(path, plan.entrypoint, signal);
  output.note(
    `Bundled ${inputs.size} modules into ${entrypoint} (${formatBytes(sizeBytes)}); its source map goes along`,
  );
  // What is in the bundle is not needed beside it; what a program reads when it runs, such as pages, is.
  const files = folder.files.filter((file) => !inputs.has(file.path));
  tellIgnored(folder, { modules: { from: 'nowhere' }, output });
  return { modules: { from: 'nowhere' }, files, made: entries, plan: { ...plan, entrypoint } };
}

const JSX = /\.[jt]sx(?::|$)/;
const FORMS = { python: 'MODULE:NAME', node: 'FILE', executable: 'FILE, or --command "..."' };

/** What was guessed, why, and how to say otherwise. */
function tell({ plan, isGuess, others }: Detected, output: Output): void {
  const { kind, entrypoint, args, reason, notes } = plan;
  const what = kind === 'executable' ? `command "${[entrypoint, ...args].join(' ')}"` : `entrypoint ${entrypoint}`;
  if (isGuess) output.note(cleanLine(`Guessed the ${what}: ${reason} (other: --entrypoint ${FORMS[kind]})`));
  for (const other of others) {
    const choice =
      other.kind === 'executable' && other.args.length > 0
        ? `--command "${[other.entrypoint, ...other.args].join(' ')}"`
        : `--entrypoint ${other.entrypoint}`;
    output.note(cleanLine(`There is another program: ${other.reason}; it is chosen by ${choice}`));
  }
  for (const note of notes) output.note(cleanLine(note));
}

function tellModules(modules: ModulesChoice, output: Output): void {
  if (modules.from === 'nowhere') return;
  const text =
    modules.from === 'folder'
      ? `Packing node_modules as it is here: ${modules.packages} packages that the program needs when it runs, ${formatBytes(sizeOf(modules.files))} (anew: --install)`
      : `Installing package.json inside the runtime, because ${modules.why}`;
  for (const note of [text, ...modules.notes]) output.note(cleanLine(note));
}

function tellIgnored({ ignored }: SourceFolder, { modules, output }: { modules: ModulesChoice; output: Output }): void {
  const named = ignored.filter((path) => modules.from === 'nowhere' || !/(?:^|\/)node_modules\/$/.test(path));
  if (named.length === 0) return;
  const more = named.length > 5 ? ` and ${named.length - 5} more` : '';
  output.note(`Left out: ${named.slice(0, 5).map(cleanLine).join(', ')}${more}`);
}

function sizeOf(files: readonly SourceFile[]): number {
  return files.reduce((total, { sizeBytes }) => total + sizeBytes, 0);
}
