import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { writeFileAtomic } from '@vmlet/host';
import { type Box, openBox } from './box/index.ts';
import { buildImage, countSteps } from './build-image.ts';
import { type BuiltRuntime, findRecorded, makePlan, type Plan, type PlanOptions, recordPathOf } from './build-plan.ts';
import { explainFullDisk } from './disk-full.ts';
import { failpoint } from './failpoint.ts';
import { fetchPackages } from './packages/fetch.ts';
import { type Lock, writeLock } from './packages/lock.ts';
import { resolve } from './packages/resolve.ts';
import { numbered, type OnProgress } from './progress.ts';
import { RecipeError } from './recipe.ts';
import { writeSbom } from './sbom/index.ts';
import { unpackBase, withoutTrees } from './stages/base.ts';
import { TREE } from './stages/stage.ts';

export type { BuiltRuntime } from './build-plan.ts';

export interface BuildOptions extends PlanOptions {
  onProgress?: OnProgress | undefined;
  /** Builds what the lock file says and nothing else; refuses when the recipe is another. */
  locked?: boolean | undefined;
  /** Takes the newest packages, and writes the lock file anew. */
  update?: boolean | undefined;
  /** Runs each step again, whatever was kept of it. */
  noCache?: boolean | undefined;
  signal?: AbortSignal | undefined;
}

/** Packages are chosen and fetched before an image is made of them. */
const STEPS_BEFORE = 2;

/**
 * The runtime of a recipe, if it was built before, of what its lock file says, and is in the cache as it was built.
 * @param folder holds `recipe.yaml`
 * @throws RecipeError
 */
export async function findRuntime(folder: string, options: PlanOptions): Promise<BuiltRuntime | undefined> {
  const plan = await makePlan(folder, options);
  const lock = lockOf(plan);
  return lock === undefined ? undefined : await recorded(plan, lock);
}

/**
 * The runtime of a recipe: from the cache when it was built before, else built now (about a minute), of the packages
 * that its lock file says. A recipe without a lock file, or one that wants other packages by now, gets a new one.
 * The image appears in the cache whole or not at all.
 * @param folder holds `recipe.yaml`
 * @throws RecipeError, BoxUnavailable, DiskFull, CommandFailed
 */
export async function ensureRuntime(folder: string, options: BuildOptions): Promise<BuiltRuntime> {
  const plan = await makePlan(folder, options);
  const lock = options.update ? undefined : lockOf(plan);
  if (options.locked && lock === undefined) throw notLocked(plan);
  const known = lock && !options.noCache ? await recorded(plan, lock) : undefined;
  if (known !== undefined) return known;
  await mkdir(plan.runtimes, { recursive: true });
  try {
    await using box = await openBox(join(options.cache, 'builds'), plan.read.recipe.name, options);
    await failpoint('build.begun');
    const onProgress = numbered(options.onProgress, STEPS_BEFORE + countSteps(plan));
    return await buildIn(box, { plan, lock, options: { ...options, onProgress } });
  } catch (error) {
    throw await explainFullDisk(error, options.cache);
  }
}

/** What the lock file says, if it is that of the recipe. */
function lockOf({ written, disagreement }: Plan): Lock | undefined {
  return disagreement === undefined ? written : undefined;
}

function notLocked({ lockPath, disagreement }: Plan): RecipeError {
  if (disagreement !== undefined) return new RecipeError(`${disagreement}; build once without --locked to change it`);
  return new RecipeError(`${lockPath}:1: expected a lock file, found none; build once without --locked to write it`);
}

interface BuildIn {
  plan: Plan;
  lock: Lock | undefined;
  options: BuildOptions;
}

async function buildIn(box: Box, { plan, lock, options }: BuildIn): Promise<BuiltRuntime> {
  const { cache, onProgress, signal } = options;
  const lists = 'Choosing packages';
  onProgress?.(lists, lock === undefined ? undefined : 'as in the lock file');
  const onLine = (step: string) => (line: string) => onProgress?.(step, line);
  const chosen = lock ?? (await chooseAndWrite(box, { plan, options, onLine: onLine(lists) }));
  await failpoint('build.chosen');
  // Other packages may be the same ones that were there before.
  const known = options.noCache ? undefined : await recorded(plan, chosen);
  if (known !== undefined) return known;
  const fetching = 'Fetching packages';
  onProgress?.(fetching);
  const packages = join(cache, 'packages');
  await fetchPackages(plan.read, chosen, { box, packages, onLine: onLine(fetching), signal });
  await failpoint('build.fetched');
  const { sbom, ...built } = await buildImage(plan, chosen, { ...options, box });
  await failpoint('build.placed');
  const recordPath = recordPathOf(plan, chosen);
  const sbomPath = await writeSbom(recordPath, sbom);
  await failpoint('build.listed');
  await writeFileAtomic(recordPath, `${JSON.stringify(built.manifest, null, 2)}\n`);
  return { ...built, sbomPath, lockPath: plan.lockPath };
}

async function recorded(plan: Plan, lock: Lock): Promise<BuiltRuntime | undefined> {
  const found = await findRecorded(plan.runtimes, recordPathOf(plan, lock));
  return found && { ...found, lockPath: plan.lockPath };
}

interface ChooseOptions {
  plan: Plan;
  options: BuildOptions;
  onLine: (line: string) => void;
}

async function chooseAndWrite(box: Box, { plan, options, onLine }: ChooseOptions): Promise<Lock> {
  const { read, lockPath, written } = plan;
  const base = await baseOf(plan, options);
  const wantsMore = base !== undefined && read.recipe.packages.length > 0;
  const { signal } = options;
  if (wantsMore) await unpackBase(read, base, { box, packages: '', trees: options.base, signal });
  const status = wantsMore ? `/work/${TREE}/var/lib/dpkg/status` : undefined;
  const found: Lock = { ...(await resolve(read, { box, status, onLine, signal })), ...(base ? { base } : {}) };
  await box.run(['rm', '-rf', TREE], { signal });
  // Newer lists of the same packages change nothing: then no image changes.
  const isSame = written !== undefined && JSON.stringify(written.packages) === JSON.stringify(found.packages);
  const lock = isSame ? { ...found, epochSeconds: written.epochSeconds } : found;
  await mkdir(dirname(lockPath), { recursive: true });
  await writeLock(lockPath, lock);
  return lock;
}

async function baseOf({ read }: Plan, { base, signal }: BuildOptions): Promise<string | undefined> {
  const reference = read.recipe.extends;
  if (reference === undefined) return undefined;
  if (base === undefined) throw withoutTrees(read);
  return base.resolve(reference, signal);
}
