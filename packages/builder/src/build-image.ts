import { rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { BaseTree } from './base.ts';
import { type Box, takeFile } from './box/index.ts';
import { BUILDER_VERSION, type BuiltRuntime, imagePathOf, type Plan } from './build-plan.ts';
import { runSteps, type Step } from './cache/steps.ts';
import { failpoint } from './failpoint.ts';
import { makeImage } from './filesystems/index.ts';
import type { Manifest } from './manifest.ts';
import type { Lock } from './packages/lock.ts';
import { fetchNpmPackage } from './packages/npm.ts';
import { configOf } from './recipe/settings.ts';
import type { ReadRecipe } from './recipe.ts';
import { describeRuntime } from './sbom/index.ts';
import { addPackages, unpackBase } from './stages/base.ts';
import { extract, linkApplets } from './stages/extract.ts';
import { install } from './stages/install.ts';
import { interpreterVersions, osName } from './stages/interpreters.ts';
import { normalise } from './stages/normalise.ts';
import { hasOverlay, layOver } from './stages/overlay.ts';
import { runStep } from './stages/run-steps.ts';
import { type StageOptions, TREE } from './stages/stage.ts';

const MIB_BYTES = 1024 * 1024;
/** As much as a line of progress shows of a step. */
const SHOWN_LENGTH = 60;

/** An image, and the list of what is in it: SPDX. */
export interface BuiltImage extends BuiltRuntime {
  sbom: string;
}

export interface BuildImageOptions {
  box: Box;
  cache: string;
  base?: BaseTree | undefined;
  noCache?: boolean | undefined;
  onProgress?: ((step: string, detail?: string) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Builds the image of a recipe and its lock, whose packages are in the cache.
 * @throws RecipeError, CommandFailed
 */
export async function buildImage(plan: Plan, lock: Lock, options: BuildImageOptions): Promise<BuiltImage> {
  const { read, runtimes } = plan;
  const { recipe } = read;
  const { box, cache, noCache = false, onProgress, signal } = options;
  const stage: StageOptions = { box, packages: join(cache, 'packages'), signal };
  await runSteps(stepsOf(plan, lock, { ...options, stage }), {
    ...{ box, noCache, onProgress, signal },
    folder: join(cache, 'steps'),
  });
  onProgress?.(`Making the ${recipe.filesystem.format} image`);
  const interpreters = await interpreterVersions(read, stage);
  const { epochSeconds } = lock;
  await normalise(read, { ...stage, epochSeconds });
  await failpoint('build.normalised');
  const os = await osName(recipe.name, stage);
  const { facts, sbomOf } = await describe(plan, lock, stage);
  const { filesystem, name: label } = recipe;
  await makeImage(box, { tree: TREE, image: 'image', filesystem, epochSeconds, label, signal });
  await failpoint('build.made');
  const taken = join(dirname(box.work), 'image');
  const image = await takeFile(box, 'image', { to: taken });
  const { sha256: fileHash = '', sizeBytes = 0 } = image ?? {};
  await failpoint('build.taken');
  checkSize(read, sizeBytes);
  const config = configOf(recipe);
  const manifest: Manifest = {
    format: 1,
    kind: 'vmlet/runtime',
    name: recipe.name,
    version: recipe.version,
    description: recipe.description,
    os,
    interpreters,
    filesystem: filesystem.format,
    init: recipe.init,
    sizeBytes,
    fileHash,
    epoch: epochSeconds,
    ...facts,
    ...(config === undefined ? {} : { config }),
  };
  const imagePath = imagePathOf(runtimes, manifest);
  await rename(taken, imagePath);
  return { manifest, imagePath, sbom: sbomOf(manifest) };
}

/** How many steps are told of a plan, as far as that is known before its packages are chosen. */
export function countSteps({ read: { recipe } }: Plan): number {
  const packages = recipe.extends !== undefined && recipe.packages.length > 0 ? 2 : 1;
  const overlay = hasOverlay(recipe) || recipe.applets !== undefined ? 1 : 0;
  return packages + overlay + (recipe.run ?? []).length + 1;
}

async function describe({ read }: Plan, { packages: locked }: Lock, { box, packages, signal }: StageOptions) {
  const { recipe } = read;
  const tarballs: { name: string; version: string; path: string }[] = [];
  for (const wanted of recipe.npm ?? []) {
    const path = await fetchNpmPackage(wanted, { packages, signal });
    tarballs.push({ name: wanted.package, version: wanted.version, path });
  }
  const builder = `vmlet-builder-${BUILDER_VERSION}`;
  return await describeRuntime(box, { tree: TREE, recipe, packages: locked, tarballs, builder, signal });
}

interface StepContext extends BuildImageOptions {
  stage: StageOptions;
}

function stepsOf(plan: Plan, lock: Lock, context: StepContext): Step[] {
  const { recipe } = plan.read;
  const steps = [...packageSteps(plan, lock, context)];
  if (hasOverlay(recipe) || recipe.applets !== undefined) steps.push(overlayStep(plan, context));
  for (const [index, { run, env }] of (recipe.run ?? []).entries()) {
    const [first = ''] = run.trim().split('\n');
    const name = `Running step ${index + 1}: ${first.slice(0, SHOWN_LENGTH)}`;
    const inputs = { run, env, environment: recipe.environment };
    steps.push({ name, inputs, run: () => runStep(plan.read, index, telling(name, context)) });
  }
  return steps;
}

/** A step's lines are the details of its progress. */
function telling(name: string, { stage, onProgress }: StepContext): StageOptions {
  return { ...stage, onLine: (line) => onProgress?.(name, line) };
}

function packageSteps({ read }: Plan, lock: Lock, context: StepContext): Step[] {
  const { suite, variant, packages, exclude, include, directories, files = [], architecture } = read.recipe;
  const joined = files.filter(({ concat }) => concat !== undefined);
  const locked = lock.packages.map(({ name, sha256 }) => [name, sha256]);
  const inputs = { suite, variant, packages, exclude, include, directories, joined, architecture, locked };
  const { base } = lock;
  if (base === undefined) {
    const name = variant === 'extract' ? 'Unpacking packages' : 'Installing packages';
    const stage = telling(name, context);
    const run = () => (variant === 'extract' ? extract(read, lock, stage) : install(read, lock, stage));
    return [{ name, inputs, run }];
  }
  const unpacking = 'Unpacking the runtime that is extended';
  const adding = 'Adding packages';
  const unpack = () => unpackBase(read, base, { ...telling(unpacking, context), trees: context.base });
  const steps: Step[] = [{ name: unpacking, inputs: base, run: unpack }];
  if (lock.packages.length > 0)
    steps.push({ name: adding, inputs, run: () => addPackages(read, lock, telling(adding, context)) });
  return steps;
}

function overlayStep({ read, sources, initFiles }: Plan, context: StepContext): Step {
  const { npm, files, links, applets, interpreters } = read.recipe;
  const name = 'Adding files and packages of npm';
  const stage = { ...telling(name, context), initFiles };
  const inputs = { npm, files, links, applets, sources, init: initFiles && [initFiles.hash, interpreters] };
  const run = async () => {
    if (hasOverlay(read.recipe)) await layOver(read, stage);
    if (applets !== undefined) await linkApplets(applets, stage.box, stage.signal);
  };
  return { name, inputs, run };
}

function checkSize(read: ReadRecipe, sizeBytes: number): void {
  const { maxSizeMiB } = read.recipe.filesystem;
  const maxBytes = maxSizeMiB * MIB_BYTES;
  if (sizeBytes <= maxBytes) return;
  const found = `the image has ${sizeBytes} bytes, expected at most ${maxBytes}`;
  throw read.refuse(['filesystem', 'maxSizeMiB'], found);
}
