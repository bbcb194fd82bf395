import { execFile } from 'node:child_process';
import { chmod, link, mkdir, symlink, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const command = promisify(execFile);

/** What a tree of a test holds, by paths: text, or what is done to make it. */
export type Tree = Readonly<Record<string, string | TreeFile>>;

interface TreeFile {
  text?: string;
  mode?: number;
  link?: string;
  /** Another path of the tree, made before. */
  hardLink?: string;
  /** Its size, of holes. */
  sparseBytes?: number;
  /** C source, compiled with these flags of gcc. */
  source?: string;
  flags?: readonly string[];
}

/** Makes a folder of files. */
export async function makeTree(folder: string, tree: Tree): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [path, given] of Object.entries(tree)) {
    const file = typeof given === 'string' ? { text: given } : given;
    const full = join(folder, path);
    await mkdir(dirname(full), { recursive: true });
    if (file.link !== undefined) await symlink(file.link, full);
    else if (file.hardLink !== undefined) await link(join(folder, file.hardLink), full);
    else if (file.source !== undefined) await compile(file.source, full, file.flags ?? ['-static']);
    else await writeFile(full, file.text ?? '');
    if (file.sparseBytes !== undefined) await truncate(full, file.sparseBytes);
    if (file.mode !== undefined) await chmod(full, file.mode);
  }
}

async function compile(source: string, to: string, flags: readonly string[]): Promise<void> {
  await writeFile(`${to}.c`, source);
  await command('gcc', ['-O1', '-o', to, `${to}.c`, ...flags], { cwd: dirname(to) });
  await command('rm', [`${to}.c`]);
}

/** An ext4 image of a folder, as somebody makes it who does not know of vmlet. */
export async function makeExt4(folder: string, image: string): Promise<string> {
  await command('mke2fs', ['-q', '-t', 'ext4', '-d', folder, image, '64M']);
  return image;
}
