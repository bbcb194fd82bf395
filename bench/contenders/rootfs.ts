import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { run } from '@vmlet/host';
import { officialRuntime } from '../../tests/framework/runtime.ts';

/**
 * Unpacks the image that machines run into a folder that is not there yet, with owners and times as they are: what
 * Python has compiled stays good.
 * @param files of the bench, by their path in the root filesystem
 */
export async function unpackRuntime(
  name: string,
  root: string,
  files: Readonly<Record<string, string>>,
): Promise<void> {
  const { imagePath } = await officialRuntime(name);
  await run('fsck.erofs', [`--extract=${root}`, '--preserve', imagePath]);
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(root, dirname(path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
}
