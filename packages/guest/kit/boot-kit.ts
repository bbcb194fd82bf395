import { createHash } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, rename, stat } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeWorkFolder, readJsonIfExists, run, writeFileAtomic } from '@vmlet/host';
import { z } from 'zod';
import { buildNodeLauncher } from '../init1-node/build.ts';
import { cloudKernelPackage, downloadPackages, unpackPackage } from './debian.ts';
import { makeGuestKit } from './guest-kit.ts';
import { makeInitramfs, modulesFor, readModuleNames } from './initramfs.ts';
import { unpackKernel } from './kernel.ts';

const GUEST_FOLDER = dirname(dirname(fileURLToPath(import.meta.url)));

const recordSchema = z.object({ format: z.literal(1), hash: z.string(), kernelRelease: z.string() });

/** What every machine boots with, as paths into the cache; all files are read-only. */
export interface BootKit {
  /** SHA-256 over the kit's files: the version that snapshots and probes are keyed by. */
  hash: string;
  kernelRelease: string;
  kernel: string;
  initramfs: string;
  /** The guest kit's erofs image. */
  image: string;
  /** init0 by itself, for images that bring their own. */
  init0: string;
  /** A program of the host that prints the rate of its time stamp counter in kHz. */
  tscRate: string;
  /** Library by which a QEMU waits for the files of a snapshot, and opens none of them for writing. */
  lateFiles: string;
}

export interface BootKitOptions {
  /** `$VMLET_CACHE`. */
  cache: string;
  onProgress?: (step: string, detail?: string) => void;
  signal?: AbortSignal | undefined;
}

const FILES = ['vmlinux', 'initramfs.cpio', 'kit.erofs', 'init0', 'tsc-rate', 'late-files.so'] as const;
const PROGRAMS = ['init0', 'tsc-rate'];
/** The program of the kit that looks at a root filesystem from inside its machine. */
export const SURVEY = 'survey';
export const SURVEY_SOURCES = [
  ...['survey', 'emit', 'image', 'run', 'elf', 'interpreters', 'packages', 'system', 'files', 'tar'],
] as const;

/**
 * The boot kit of these sources: from the cache where they were built before, else built now (some ten seconds).
 * It appears in the cache whole or not at all.
 * @throws CommandFailed, or an Error that names what is missing
 */
export async function ensureBootKit(options: BootKitOptions): Promise<BootKit> {
  const kits = join(options.cache, 'kits');
  const recordPath = join(kits, `sources-${(await hashSources()).slice(0, 16)}.json`);
  const record = recordSchema.safeParse(await readJsonIfExists(recordPath, { rebuildable: true }));
  if (record.success && (await isComplete(join(kits, record.data.hash)))) return kitAt(kits, record.data);

  await using work = await makeWorkFolder(kits, 'kit');
  const kernelRelease = await buildInto(work.path, options);
  const paths = FILES.map((name) => join(work.path, 'kit', name));
  const hash = await hashFiles(paths);
  for (const path of paths) await chmod(path, PROGRAMS.includes(basename(path)) ? 0o555 : 0o444);
  await rename(join(work.path, 'kit'), join(kits, hash)).catch((error: NodeJS.ErrnoException) => {
    // The same kit from other sources, or from a build at the same time.
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
  });
  const built = { format: 1 as const, hash, kernelRelease };
  await writeFileAtomic(recordPath, `${JSON.stringify(built, null, 2)}\n`);
  return kitAt(kits, built);
}

async function buildInto(work: string, options: BootKitOptions): Promise<string> {
  const { signal } = options;
  const packages = join(options.cache, 'packages');
  const kit = join(work, 'kit');
  await mkdir(kit);
  options.onProgress?.('Fetching the kernel');
  const [deb] = await downloadPackages([await cloudKernelPackage(signal)], { packages, signal });
  await unpackPackage(deb ?? '', join(work, 'kernel'), signal);
  const [release] = await readdir(join(work, 'kernel/lib/modules'));
  if (!release) throw new Error(`Cannot use "${deb}": it holds no modules, expected a kernel package`);
  const modules = join(work, 'kernel/lib/modules', release);
  await stripModules(modules, signal);
  await run('depmod', ['-b', join(work, 'kernel'), release], { signal });
  await unpackKernel(join(work, 'kernel/boot', `vmlinuz-${release}`), join(kit, 'vmlinux'), signal);

  options.onProgress?.('Compiling init0');
  const init0 = join(kit, 'init0');
  const init0Sources = ['init0.c', 'wire.c', 'session.c', 'exec.c', 'copy.c'].map((source) =>
    join(GUEST_FOLDER, 'init0', source),
  );
  await compile(init0Sources, init0, signal);
  await compile([join(GUEST_FOLDER, 'kit/tsc-rate.c')], join(kit, 'tsc-rate'), signal);
  const lateFiles = join(GUEST_FOLDER, 'kit/late-files.c');
  const flags = ['-shared', '-fPIC', '-O2', '-s', '-Wall', '-Wextra', '-Werror'];
  await run('gcc', [...flags, '-o', join(kit, 'late-files.so'), lateFiles], { signal });
  const moduleNames = await readModuleNames(join(GUEST_FOLDER, 'init0/modules.txt'));
  const btrfsModules = await modulesFor(modules, 'btrfs');
  const initramfs = { init0, modules, moduleNames, btrfsModules, signal };
  await makeInitramfs(join(work, 'initramfs'), join(kit, 'initramfs.cpio'), initramfs);

  options.onProgress?.('Making the guest kit');
  const guestWork = join(work, 'guest');
  await mkdir(guestWork);
  await buildNodeLauncher(join(guestWork, 'tree/init1/node'), { signal });
  await mkdir(join(guestWork, 'tree/init1/exec'), { recursive: true });
  for (const name of ['init1-exec', 'image-command'])
    await compile([join(GUEST_FOLDER, `init1-exec/${name}.c`)], join(guestWork, 'tree/init1/exec', name), signal);
  const surveySources = SURVEY_SOURCES.map((name) => join(GUEST_FOLDER, 'survey', `${name}.c`));
  await compile(surveySources, join(guestWork, 'tree', SURVEY), signal);
  const launcher = join(GUEST_FOLDER, 'init1-python');
  await makeGuestKit(guestWork, join(kit, 'kit.erofs'), {
    launcher,
    modules,
    kernelRelease: release,
    packages,
    signal,
  });
  return release;
}

/**
 * Takes debug symbols and signatures off the modules: checking the signatures of those that boot costs a machine 80 ms
 * under emulation (1,236 ms against 1,154 to init0), and the kit's own hash covers them already.
 */
async function stripModules(modules: string, signal: AbortSignal | undefined): Promise<void> {
  const entries = await readdir(modules, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.name.endsWith('.ko'))
    .map((entry) => join(entry.parentPath, entry.name));
  await run('strip', ['--strip-debug', ...files], { signal });
}

/** Static, since it runs where no library is. Warnings are errors here too: a kit is never built from doubtful code. */
async function compile(sources: readonly string[], binary: string, signal: AbortSignal | undefined): Promise<void> {
  const flags = ['-std=gnu11', '-O2', '-static', '-s', '-Wall', '-Wextra', '-Werror', '-fstack-protector-strong'];
  await run('gcc', [...flags, '-o', binary, ...sources], { signal });
}

function kitAt(kits: string, record: { hash: string; kernelRelease: string }): BootKit {
  const at = (name: (typeof FILES)[number]) => join(kits, record.hash, name);
  return {
    ...record,
    kernel: at('vmlinux'),
    initramfs: at('initramfs.cpio'),
    image: at('kit.erofs'),
    init0: at('init0'),
    tscRate: at('tsc-rate'),
    lateFiles: at('late-files.so'),
  };
}

async function isComplete(folder: string): Promise<boolean> {
  const found = await Promise.all(FILES.map((name) => stat(join(folder, name)).catch(() => undefined)));
  return found.every((file) => file !== undefined && file.size > 0);
}

/** SHA-256 over names and bytes of all that a kit is made from: the guest's sources and the kit builder's own. */
export async function hashSources(folder: string = GUEST_FOLDER): Promise<string> {
  const hash = createHash('sha256');
  for (const part of ['init0', 'init1-python', 'init1-node', 'init1-exec', 'survey', 'kit']) {
    const entries = await readdir(join(folder, part), { recursive: true, withFileTypes: true });
    const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    for (const path of paths.filter(isSource).toSorted()) {
      hash.update(`${relative(folder, path)}\0`).update(await readFile(path));
    }
  }
  return hash.digest('hex');
}

function isSource(path: string): boolean {
  return !/\/(test|__pycache__)\/|\.(md|pyc)$|\.test\.ts$/.test(path);
}

async function hashFiles(paths: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const path of paths) hash.update(await readFile(path));
  return hash.digest('hex');
}
