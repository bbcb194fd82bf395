import { cp, mkdir, mkdtempDisposable, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BuiltRuntime, ensureRuntime, type Filesystem } from '@vmlet/builder';
import { buildImport } from '@vmlet/builder/import';
import { resolvePaths } from '@vmlet/host';
import { checkImage } from '@vmlet/node/images';
import { RUNTIMES } from '../tests/framework/runtime.ts';
import { makeOciArchive } from './images/oci-archive.ts';
import type { PartOptions, PartResult } from './part.ts';
import { type Row, rowOf } from './stats.ts';

const RECIPE = join(RUNTIMES, 'debian-12-python');
/** Those with a figure of their own; btrfs is for instances. */
const FILESYSTEMS = ['erofs', 'squashfs', 'ext4'] as const satisfies Filesystem[];
/** A build takes half a minute: as many samples as of a start would take an hour. */
const MAX_RUNS = 3;
const MB = 1e6;

/** Builds of runtimes, sizes of what comes of them, what a check takes, and an image of another world made bootable. */
export async function benchImages(options: PartOptions): Promise<PartResult> {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'vmlet-bench-'));
  const cache = join(folder.path, 'cache');
  await warmPackages(cache, options);
  const runs = Math.min(options.runs, MAX_RUNS);
  const rows: Row[] = [];
  const add = async (name: string, measure: () => Promise<Row>) => {
    if (!options.isWanted(name)) return;
    options.tell(name);
    rows.push(await measure());
  };
  const build = (filesystem?: Filesystem) => ensureRuntime(RECIPE, { cache, official: RUNTIMES, filesystem });
  await add('build-debian-12-python', async () =>
    rowOf('build-debian-12-python', 's', await repeated(runs, () => seconds(() => forgetting(cache, build)))),
  );
  const built = await build();
  await add('rebuild-unchanged', async () =>
    rowOf('rebuild-unchanged', 's', await repeated(runs, () => seconds(() => build()))),
  );
  for (const filesystem of FILESYSTEMS) {
    const name = `image-${filesystem}-mb`;
    await add(name, async () => rowOf(name, 'MB', [(await build(filesystem)).manifest.sizeBytes / MB]));
  }
  // Emulated or not, a check says itself; the boot kit and the probe are those of all benches.
  const { cache: shared } = resolvePaths();
  await add('runtime-check', async () =>
    rowOf('runtime-check', 's', await repeated(runs, () => seconds(() => check(built, shared)))),
  );
  await add('oci-200mb', async () => rowOf('oci-200mb', 's', await importArchive(folder.path, { runs, built })));
  return { backend: 'no machine but for runtime-check', rows, ratios: {} };
}

/** A cache of which only the packages are there, with what says which they are: that is how a build is promised. */
async function warmPackages(cache: string, { tell }: PartOptions): Promise<void> {
  tell('packages');
  const { cache: shared } = resolvePaths();
  await ensureRuntime(RECIPE, { cache: shared, official: RUNTIMES });
  await mkdir(cache, { recursive: true });
  for (const part of ['packages', 'locks', 'box'])
    await cp(join(shared, part), join(cache, part), { recursive: true, preserveTimestamps: true });
}

/** A build of which nothing is kept but the packages. */
async function forgetting(cache: string, build: () => Promise<BuiltRuntime>): Promise<BuiltRuntime> {
  for (const part of ['runtimes', 'steps']) await rm(join(cache, part), { recursive: true, force: true });
  return await build();
}

async function check({ imagePath, manifest }: BuiltRuntime, cache: string): Promise<void> {
  const { summary } = await checkImage(imagePath, { cache, manifest });
  if (summary.errors > 0) throw new Error(`Cannot measure a check: ${summary.errors} errors found, expected none`);
}

/** Each time in a cache of its own, so that nothing is known of the archive. */
async function importArchive(folder: string, { runs, built }: { runs: number; built: BuiltRuntime }) {
  const path = join(folder, 'image.tar');
  await makeOciArchive(path, built.imagePath);
  let count = 0;
  return await repeated(runs, () => {
    count += 1;
    const cache = join(folder, `import-${count}`);
    const filesystem = { format: 'erofs', compression: 'lz4hc', maxSizeMiB: 4096 } as const;
    const options = { cache, name: 'imported', version: '1', filesystem };
    return seconds(() => buildImport({ kind: 'oci', path }, options));
  });
}

async function repeated(count: number, sample: () => Promise<number>): Promise<number[]> {
  const samples: number[] = [];
  while (samples.length < count) samples.push(await sample());
  return samples;
}

/** How long something takes. */
async function seconds(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}
