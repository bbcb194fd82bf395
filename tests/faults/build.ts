/**
 * A build in a process of its own, that a test may kill: `node build.ts RECIPE CACHE [FULL]`. Prints the image's hash as
 * a line of JSON, or what was thrown, and what is left in the cache then. With FULL, the cache's disk, which is full, is
 * then made as large as that, and the same is built again.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureRuntime } from '@vmlet/builder';
import { run } from '@vmlet/host';

const [folder = '', cache = '', larger] = process.argv.slice(2);

const say = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);

async function build(): Promise<void> {
  try {
    const { manifest } = await ensureRuntime(folder, { cache });
    say({ fileHash: manifest.fileHash });
  } catch (error) {
    const { name = '', message = '' } = error instanceof Error ? error : {};
    const [builds, runtimes] = await Promise.all(['builds', 'runtimes'].map((part) => readdir(join(cache, part))));
    say({ name, message, builds, runtimes });
  }
}

await build();
if (larger !== undefined) {
  await run('mount', ['-o', `remount,size=${larger}`, cache]);
  await build();
}
