import { copyFile, mkdir, readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { run } from '@vmlet/host';

export interface InitramfsInput {
  /** Static init0 binary. */
  init0: string;
  /** `/lib/modules/<release>` of the unpacked kernel package. */
  modules: string;
  /** Names of the modules that init0 inserts, in order, without `.ko`; some in a folder, which says when. */
  moduleNames: readonly string[];
  /** Paths below `modules`, in order, of what init0 takes from the kit's drive for a root of btrfs. */
  btrfsModules: readonly string[];
  signal?: AbortSignal | undefined;
}

/**
 * Makes the initramfs: `/init` (init0) and just the modules that booting needs, in `/modules` with their order.
 * Uncompressed, since unpacking costs the guest more than reading; the same input gives the same bytes.
 * @param work an empty folder for its tree
 */
export async function makeInitramfs(work: string, image: string, input: InitramfsInput): Promise<void> {
  const folders = new Set(['modules', ...input.moduleNames.map((name) => dirname(`modules/${name}`))]);
  for (const folder of folders) await mkdir(join(work, folder), { recursive: true });
  await copyFile(input.init0, join(work, 'init'));
  const files = await findModules(input.modules);
  const order: string[] = [];
  for (const name of input.moduleNames) {
    const path = files.get(basename(name).replaceAll('-', '_'));
    // Built into this kernel, or part of another module.
    if (!path) continue;
    const to = join(dirname(name), basename(path));
    order.push(to);
    await copyFile(path, join(work, 'modules', to));
  }
  await writeFile(join(work, 'modules/order'), `${order.join('\n')}\n`);
  await writeFile(join(work, 'modules/btrfs'), `${input.btrfsModules.join('\n')}\n`);
  const names = ['.', 'init', ...folders, 'modules/order', 'modules/btrfs', ...order.map((file) => `modules/${file}`)];
  for (const name of names) await utimes(join(work, name), 0, 0);
  await run('cpio', ['-o', '-H', 'newc', '--quiet', '--reproducible', '-R', '0:0', '-O', image], {
    cwd: work,
    input: Readable.from([`${names.join('\n')}\n`]),
    signal: input.signal,
  });
}

/** Module names, one a line; `#` begins a comment. */
export async function readModuleNames(path: string): Promise<string[]> {
  const lines = (await readFile(path, 'utf8')).split('\n');
  return lines.map((line) => line.replace(/#.*/, '').trim()).filter((line) => line !== '');
}

/**
 * A module and all that it needs, as paths below the folder of the kernel's modules, in the order in which they are
 * inserted.
 * @param modules `/lib/modules/<release>` with depmod's lists
 * @throws Error if there is no such module
 */
export async function modulesFor(modules: string, name: string): Promise<string[]> {
  const lines = (await readFile(join(modules, 'modules.dep'), 'utf8')).split('\n');
  const line = lines.find((candidate) => candidate.split(':')[0]?.endsWith(`/${name}.ko`));
  if (!line) throw new Error(`Cannot find the module "${name}": the kernel has none, expected "${name}.ko"`);
  const [path = '', needed = ''] = line.split(':');
  // depmod names what is needed first last.
  return [...needed.trim().split(/\s+/).filter(Boolean).reverse(), path];
}

async function findModules(folder: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.ko')) continue;
    found.set(entry.name.slice(0, -3).replaceAll('-', '_'), join(entry.parentPath, entry.name));
  }
  return found;
}
