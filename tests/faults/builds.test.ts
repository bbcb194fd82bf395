import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BUILD_FAILPOINTS } from '../../packages/builder/src/failpoint.ts';
import { processesNaming } from '../framework/leaks.ts';
import { rowsOf } from '../framework/variants.ts';

const BUILD = join(import.meta.dirname, 'build.ts');
const recipeOf = (filesystem: string) => `format: 1
name: small
distribution: debian
suite: bookworm
variant: extract
packages: [busybox-static]
exclude: [/usr/share/*]
applets: /bin/busybox
files: [{ path: /usr/lib/os-release, content: "PRETTY_NAME=small" }]
filesystem: ${filesystem}
`;

/** A build takes a second or two, and each row two of them. */
const USUAL = ['build.ran', 'build.taken', 'build.placed'];
const KILLED_AT = rowsOf(BUILD_FAILPOINTS, ({ name }) => USUAL.includes(name));

/** What a build leaves in the cache's folder of runtimes. */
const IMAGE = expect.stringMatching(/^[0-9a-f]{64}\.erofs$/);
const RECORD = expect.stringMatching(/^small-[0-9a-f]{16}\.json$/);
const LIST = expect.stringMatching(/^small-[0-9a-f]{16}\.spdx\.json$/);

let folder: string;
let recipe: string;
let cache: string;
/** What comes of the recipe. */
let fileHash: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vmlet-test-'));
  recipe = join(folder, 'recipe');
  cache = join(folder, 'cache');
  await mkdir(recipe);
  await writeFile(join(recipe, 'recipe.yaml'), recipeOf('{ format: erofs }'));
  const built = await build();
  expect(built).toEqual({ fileHash: expect.stringMatching(/^[0-9a-f]{64}$/) });
  fileHash = String(built.fileHash);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function build(): Promise<Record<string, unknown>> {
  const { stdout } = await promisify(execFile)(process.execPath, [BUILD, recipe, cache]);
  return JSON.parse(stdout);
}

/** Builds until a step is reached, at which the builder is killed. */
async function killedAt(step: string): Promise<void> {
  const env = { ...process.env, VMLET_FAILPOINT: `${step}=exit9` };
  const child = spawn(process.execPath, [BUILD, recipe, cache], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const said = text(child.stdout);
  expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);
  expect(await said).toBe('');
}

/** Whatever has the name of its bytes has those bytes. */
async function expectWhole(part: string, hashOf: RegExp): Promise<string[]> {
  const names = (await readdir(join(cache, part))).sort();
  for (const name of names.filter((found) => hashOf.test(found))) {
    const bytes = await readFile(join(cache, part, name));
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(hashOf.exec(name)?.[1]);
  }
  return names;
}

describe('builds', () => {
  test.each(KILLED_AT)(
    'builder killed at $name: nothing half-made is used, and the next build is whole',
    async (row) => {
      for (const part of ['runtimes', 'steps']) await rm(join(cache, part), { recursive: true, force: true });
      if (row.name === 'build.chosen') {
        await rm(join(cache, 'packages'), { recursive: true });
        await rm(join(recipe, 'recipe.lock'));
      }
      await killedAt(row.name);
      expect(await processesNaming(cache)).toEqual([]);
      const left = { 'build.placed': [IMAGE], 'build.listed': [IMAGE, LIST] }[String(row.name)] ?? [];
      expect(await expectWhole('runtimes', /^([0-9a-f]{64})\./)).toEqual(left);
      expect(await readdir(join(cache, 'builds'))).toEqual([expect.stringMatching(/^\.tmp-\d+-small-/)]);

      expect(await build()).toEqual({ fileHash });
      await expectWhole('runtimes', /^([0-9a-f]{64})\./);
      await expectWhole('steps', /-([0-9a-f]{64})\.tar$/);
      expect((await readdir(join(cache, 'runtimes'))).sort()).toEqual([IMAGE, RECORD, LIST]);
      expect(await readdir(join(cache, 'builds'))).toEqual([]);
    },
  );

  // Where it is full depends on the size: in a step, as its tree is kept, or as the image is made.
  test.for(rowsOf([3, 4, 5, 6], (sizeMiB) => sizeMiB === 5))(
    'disk full in a build with %i MiB: it says so and what to do, nothing is left, and the next one has room',
    async (sizeMiB, { skip }) => {
      skip(process.getuid?.() !== 0, 'only root may mount a small filesystem');
      const small = join(folder, 'small');
      const other = join(folder, 'other');
      for (const made of [small, other]) await mkdir(made, { recursive: true });
      await writeFile(join(other, 'recipe.yaml'), recipeOf('{ format: ext4 }'));
      await cp(join(recipe, 'recipe.lock'), join(other, 'recipe.lock'));
      // In a mount namespace of its own, so that nothing is mounted on the host.
      const script = `mount -t tmpfs -o size=$1 tmpfs "$2" && cp -a "$3"/box "$3"/packages "$2" && exec "$4" "$5" "$6" "$2" 300m`;
      const args = [`${sizeMiB}m`, small, cache, process.execPath, BUILD, other];
      const { stdout } = await promisify(execFile)('unshare', ['--mount', 'sh', '-euc', script, 'sh', ...args]);
      const lines = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      expect(lines).toEqual([
        {
          name: 'DiskFull',
          message: expect.stringMatching(
            /^Cannot build in ".*small": its disk is full, of which [1-5] MiB are free without this build, expected room/,
          ),
          ...{ builds: [], runtimes: [] },
        },
        { fileHash: expect.stringMatching(/^[0-9a-f]{64}$/) },
      ]);
    },
  );

  test('file too large for the limit of the process: is told as a full disk is, and nothing is left', async () => {
    await rm(join(cache, 'runtimes'), { recursive: true });
    await rm(join(cache, 'steps'), { recursive: true });
    const limited = ['--fsize=500000', process.execPath, BUILD, recipe, cache];
    const { stdout } = await promisify(execFile)('prlimit', limited);
    expect(JSON.parse(stdout)).toMatchObject({ name: 'DiskFull', builds: [], runtimes: [] });
    expect(await build()).toEqual({ fileHash });
  });
});
