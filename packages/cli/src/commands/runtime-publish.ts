import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type BuiltRuntime, ensureRuntime } from '@vmlet/builder';
import { type PortableRecipe, portableRecipe } from '@vmlet/builder/publishing';
import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import { PublicApi } from '../client/api.ts';
import { locateNode } from '../client/locate.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { findRecipe } from '../known-runtimes.ts';
import { baseTreeOf } from '../publish/base-tree.ts';
import { foreignFacts } from '../publish/foreign-facts.ts';
import { initFilesOf } from '../publish/init-files.ts';
import { loadSigner } from '../publish/owner-key.ts';
import { publishNamedRuntime } from '../publish/publish-runtime.ts';
import { RECIPES } from '../publish/runtime.ts';
import type { RuntimeExtras } from '../publish/runtime-extras.ts';
import { describeImage, readManifest } from '../publish/runtime-image.ts';
import { checkReachable } from './check-reachable.ts';

interface PublishOptions {
  manifest?: string;
  name?: string;
  recipe?: string;
  lock?: string;
  sbom?: string;
  withPackages?: boolean;
  channel?: string;
}

/** `vmlet runtime publish`. */
export function registerRuntimePublish({ program, run }: Cli): void {
  const command = program
    .command('publish')
    .alias('add')
    .summary('publish a runtime under a name, for anyone to use')
    .description(
      'Publishes a root filesystem with a manifest that says what is in it, as a signed message: an image (erofs, squashfs ' +
        'or ext4), whose size, hash and filesystem are read from it, or a recipe, which is built first. Your name for it, and ' +
        'that with its version, then lead to it; another version updates the first. Prints the item_hash, by which anyone ' +
        'deploys on it.',
    )
    .argument('<image|recipe>', 'an image, the name of an official runtime, or the folder of a recipe')
    .option('--name <name[@version]>', 'your name for it (default: that of the manifest or the recipe)')
    .option(
      '--manifest <file>',
      'what is in an image, in JSON; see docs/formats/manifest.md (default: what a machine of it finds)',
    )
    .option('--recipe <file>', 'what it was made from, published beside it (default: that of the recipe)')
    .option('--lock <file>', 'what its packages were, published beside it (default: that of the recipe)')
    .option('--sbom <file>', 'list of what is in it, published beside it (default: that of the build)')
    .option('--with-packages', 'publish the packages of the lock file, too: mirrors drop old versions')
    .option('--channel <name>', 'label of the messages');
  addExamples(command, [
    ['vmlet runtime publish root.erofs --manifest manifest.json', 'an image'],
    ['vmlet runtime publish root.erofs --name mine@2', 'its second version'],
    ['vmlet runtime publish ./runtimes/mine --with-packages', 'a recipe, built, with all that others need to build it'],
    ['vmlet deploy ./app --runtime mine', 'and deploy on it'],
  ]);
  command.action(async (what: string, options: PublishOptions, self: Command) => {
    await run(self, (context) => publish(what, options, context));
  });
}

async function publish(what: string, options: PublishOptions, context: Context): Promise<undefined> {
  const { output, paths, cwd, signal } = context;
  const node = await locateNode(context);
  await checkReachable(node, signal);
  const { runtime, recipe } = await prepare(what, options, context);
  const { lockPath, sbomPath } = runtime;
  const signer = await loadSigner(paths.config, output);
  const publisher = { signer, api: new PublicApi(node.url), output, channel: options.channel, signal };
  const path = (name: string | undefined) => (name === undefined ? undefined : resolve(cwd, name));
  const extras: RuntimeExtras = {
    recipe: options.recipe === undefined ? recipe : await recipeOf(resolve(cwd, options.recipe)),
    lock: path(options.lock) ?? lockPath,
    sbom: path(options.sbom) ?? sbomPath,
    packagesOf: options.withPackages === true ? paths.cache : undefined,
  };
  const published = await publishNamedRuntime(runtime, publisher, extras);
  output.settle();
  if (output.isJson) {
    output.json(published);
    return;
  }
  const { name, version, address, uploaded, itemHash } = published;
  if (!uploaded) output.note('The node had it already: nothing was uploaded');
  output.note(`${address}/${name}@${version}`);
  output.line(itemHash);
}

/** The image with its manifest, built if it has to be, and the recipe that it is of. */
async function prepare(
  what: string,
  { manifest: manifestFile, name }: PublishOptions,
  context: Context,
): Promise<{ runtime: BuiltRuntime; recipe: PortableRecipe | undefined }> {
  const { output, paths, cwd, signal } = context;
  const imagePath = resolve(cwd, what);
  const found = await stat(imagePath).catch(() => undefined);
  const isImage = found?.isFile() === true && !imagePath.endsWith('recipe.yaml');
  if (isImage) {
    output.step('Reading the image');
    const said = manifestFile === undefined ? {} : await readManifest(resolve(cwd, manifestFile));
    const manifest = await describeImage(imagePath, { ...said, ...named(name) }, signal);
    const facts = manifestFile === undefined ? await foreignFacts(imagePath, context) : {};
    return { runtime: { manifest: { ...manifest, ...facts }, imagePath }, recipe: undefined };
  }
  const { folder, filesystem } = await findRecipe(what, cwd);
  const onProgress = (step: string, detail?: string) => output.step(`Building the runtime: ${step}`, detail);
  const initFiles = initFilesOf({ cache: paths.cache, onProgress, signal });
  const wanted = { cache: paths.cache, initFiles, filesystem, official: RECIPES };
  const built = await ensureRuntime(folder, { ...wanted, base: baseTreeOf(context), onProgress, signal });
  return {
    runtime: { ...built, manifest: { ...built.manifest, ...named(name) } },
    recipe: await portableRecipe(folder, { official: RECIPES, filesystem }),
  };
}

/** A file that is said to be the recipe of an image: as it is. @throws CliError `INPUT_UNREADABLE` */
async function recipeOf(path: string): Promise<PortableRecipe> {
  try {
    return { text: await readFile(path, 'utf8'), files: new Map() };
  } catch (cause) {
    const found = cause instanceof Error ? cause.message : String(cause);
    throw new CliError('INPUT_UNREADABLE', { operands: { path, found }, cause });
  }
}

/** What `--name` says. */
function named(text: string | undefined): { name?: string; version?: string } {
  if (text === undefined) return {};
  const at = text.indexOf('@');
  return at < 0 ? { name: text } : { name: text.slice(0, at), version: text.slice(at + 1) };
}
