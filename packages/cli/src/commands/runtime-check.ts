import { mkdtempDisposable, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { ensureRuntime, manifestSchema } from '@vmlet/builder';
import type { ClaimedFacts, RuntimeReport } from '@vmlet/node/images';
import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import { PublicApi } from '../client/api.ts';
import { locateNode } from '../client/locate.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { findKnownRuntime, findRecipe, type KnownRuntime } from '../known-runtimes.ts';
import type { Output } from '../output.ts';
import { baseTreeOf } from '../publish/base-tree.ts';
import { fetchImage } from '../publish/fetch-image.ts';
import { initFilesOf } from '../publish/init-files.ts';
import { existingAddress } from '../publish/owner-key.ts';
import { RECIPES } from '../publish/runtime.ts';
import { readManifest } from '../publish/runtime-image.ts';
import { findNamedRuntime, readRuntimeName } from '../publish/runtime-names.ts';
import { clean, cleanLine } from '../terminal-text.ts';

interface CheckOptions {
  manifest?: string;
  strict?: boolean;
}

/** `vmlet runtime check`. */
export function registerRuntimeCheck({ program, run }: Cli): void {
  const command = program
    .command('check')
    .summary('boot a runtime and look for what is wrong with it')
    .description(
      'Boots an image in a machine without network, looks at it from inside, and runs a small program in it: filesystem, ' +
        'interpreters and their libraries, TLS authorities, locale, names, clock, entropy, places to write to, rights, keys ' +
        'and secrets, open ports, and how long each phase of a start takes. Each finding comes with its fix. Needs no ' +
        'node for a file or a recipe. Ends with 7 if something is wrong.',
    )
    .argument('<image|hash|name|recipe>', 'a file with a filesystem, a hash or name of the node, or a recipe')
    .option('--manifest <file>', 'what the image is said to be, in JSON (default: what is published or built with it)')
    .option('--strict', 'warnings, too, are reasons to fail');
  addExamples(command, [
    ['vmlet runtime check root.ext4', 'an image, whoever made it'],
    ['vmlet runtime check debian-12-python --strict', 'an official one, as a CI does'],
    [`vmlet runtime check root.ext4 --json | jq '.groups[].checks[] | select(.status != "ok")'`, 'only what is wrong'],
  ]);
  command.action(async (wanted: string, options: CheckOptions, self: Command) => {
    await run(self, (context) => check(wanted, options, context));
  });
}

async function check(wanted: string, options: CheckOptions, context: Context): Promise<undefined> {
  const { output, paths, signal } = context;
  await using folder = await mkdtempDisposable(join(tmpdir(), 'vmlet-check-'));
  const { imagePath, manifest } = await findImage(wanted, options, { context, folder: folder.path });
  const { checkImage } = await import('@vmlet/node/images');
  const onProgress = (step: string, detail?: string) => output.step(step, detail);
  const report = await checkImage(imagePath, { cache: paths.cache, manifest, onProgress, signal });
  output.settle();
  if (output.isJson) output.json({ runtime: wanted, ...report });
  else showReport(report, output);
  const { errors, warnings } = report.summary;
  if (errors === 0 && (warnings === 0 || options.strict !== true)) return;
  const found = `${count(errors, 'error')} and ${count(warnings, 'warning')}`;
  const expected = options.strict === true ? 'neither errors nor warnings' : 'no errors';
  throw new CliError('RUNTIME_UNFIT', { operands: { runtime: wanted, found, expected } });
}

interface Image {
  imagePath: string;
  manifest: ClaimedFacts | undefined;
}

interface Place {
  context: Context;
  /** For an image that is fetched. */
  folder: string;
}

async function findImage(wanted: string, options: CheckOptions, place: Place): Promise<Image> {
  const { cwd } = place.context;
  const said = options.manifest === undefined ? undefined : await claimsOf(resolve(cwd, options.manifest));
  const path = resolve(cwd, wanted);
  const file = await stat(path).catch(() => undefined);
  if (file?.isFile() && !path.endsWith('recipe.yaml')) return { imagePath: path, manifest: said };
  const image = (await localImage(wanted, place)) ?? (await publishedImage(wanted, place));
  return { ...image, manifest: said ?? image.manifest };
}

/** What a file says of an image, as far as an image can be held to it. */
async function claimsOf(path: string): Promise<ClaimedFacts> {
  const part = manifestSchema.pick({ init: true, os: true, interpreters: true }).partial();
  const parsed = part.safeParse(await readManifest(path));
  if (parsed.success) {
    const { init = 'kit', os = '', interpreters = {} } = parsed.data;
    return { init, os, interpreters };
  }
  const [issue] = parsed.error.issues;
  const found = `"${issue?.path.join('.')}": ${issue?.message}`;
  throw new CliError('RUNTIME_UNREADABLE', { operands: { path, found, expected: 'the members of a manifest' } });
}

/** An image of this host's cache, built now if its recipe is here; undefined for what only a node has. */
async function localImage(wanted: string, { context }: Place): Promise<Image | undefined> {
  const known = await knownOrUndefined(wanted, context);
  if (known?.imagePath !== undefined) return { imagePath: known.imagePath, manifest: known.manifest };
  if (known !== undefined && known.recipePath === undefined) return undefined;
  const recipe = await findRecipe(wanted, context.cwd).catch(orNoRecipe);
  if (recipe === undefined) return undefined;
  const { output, paths, signal } = context;
  const onProgress = (step: string, detail?: string) => output.step(`Building the runtime: ${step}`, detail);
  const initFiles = initFilesOf({ cache: paths.cache, onProgress, signal });
  const from = { filesystem: recipe.filesystem, official: RECIPES, base: baseTreeOf(context) };
  return await ensureRuntime(recipe.folder, { cache: paths.cache, onProgress, signal, initFiles, ...from });
}

/** Nothing where there is no such recipe: the node may have a runtime of that name. */
function orNoRecipe(error: unknown): undefined {
  if (!(error instanceof CliError) || error.code !== 'RECIPE_UNREADABLE') throw error;
}

async function knownOrUndefined(wanted: string, context: Context): Promise<KnownRuntime | undefined> {
  try {
    return await findKnownRuntime(wanted, context);
  } catch (error) {
    // The node may know it all the same.
    if (error instanceof CliError && error.code === 'RUNTIME_UNKNOWN') return undefined;
    throw error;
  }
}

async function publishedImage(wanted: string, { context, folder }: Place): Promise<Image> {
  const { output, paths, signal } = context;
  const { url } = await locateNode(context);
  const api = new PublicApi(url);
  const name = readRuntimeName(wanted);
  const isHash = /^[0-9a-f]{64}$/.test(wanted);
  if (isHash && (await api.holds(wanted, signal))) {
    const known = await knownOrUndefined(wanted, context);
    return { imagePath: await fetchImage(wanted, { node: url, folder, output, signal }), manifest: known?.manifest };
  }
  const own = await existingAddress(paths.config);
  const found =
    isHash || name === undefined
      ? await api.runtime(wanted, signal)
      : await findNamedRuntime(name, { api, own, signal });
  const imagePath = await fetchImage(found.file_hash, { node: url, folder, output, signal });
  return { imagePath, manifest: found.metadata };
}

const MARKS = { ok: '✓', warning: '!', error: '✗' } as const;

function showReport({ groups, summary, tookMs }: RuntimeReport, output: Output): void {
  const { green, yellow, red, bold, dim } = output.colors;
  const paint = { ok: green, warning: yellow, error: red };
  const width = Math.max(...groups.flatMap(({ checks }) => checks.map(({ title }) => title.length)));
  for (const { title, checks } of groups) {
    output.line(bold(title));
    for (const one of checks) {
      const [first = '', ...rest] = clean(one.text).split('\n');
      output.line(`  ${paint[one.status](MARKS[one.status])} ${cleanLine(one.title).padEnd(width)}  ${first}`);
      for (const line of rest) output.line(`      ${dim(`| ${line}`)}`);
      if (one.fix !== undefined && one.status !== 'ok') output.line(`      next: ${cleanLine(one.fix)}`);
    }
    output.line('');
  }
  const { ok, warnings, errors } = summary;
  const words = [`${ok} passed`, count(warnings, 'warning'), count(errors, 'error')].join(', ');
  output.line(`${words} in ${(tookMs / 1000).toFixed(1)} s`);
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
