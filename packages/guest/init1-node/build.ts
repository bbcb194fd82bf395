/** Makes the launcher's files, and the installer's, of their sources: `node build.ts FOLDER`. */

import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { makeWorkFolder, run } from '@vmlet/host';

const FOLDER = import.meta.dirname;

/** For what runs in Node itself, whatever C library that has: none of it is used. */
const C_FLAGS = ['-std=gnu11', '-O2', '-s', '-Wall', '-Wextra', '-Werror', '-shared', '-fPIC', '-nostdlib'];
/** Each of a C file, and loaded by Node's stable C interface. */
const ADDONS = ['compilers', 'replace', 'reseed'] as const;
/** What installs packages is a program of its own: no other program's machine loads it. */
const INSTALLER = /^install\b/;

/**
 * Compiles the launcher for Node 14 and later, into `init1.js` in `outDir`, which is made if it is missing, and
 * `replace.node`, which it needs to become another version of Node, and `reseed.node` and `compilers.node`, for a clone of a
 * snapshot; beside them the program that installs packages,
 * `vmlet-install.js`. The same sources give the same bytes. Types are not checked: `npm run check` does that.
 *
 * One file of JavaScript each, because each file that a machine loads costs it more than what is in it.
 * @throws CommandFailed of `tsc` or `gcc`
 */
export async function buildNodeLauncher(
  outDir: string,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<void> {
  await using work = await makeWorkFolder(outDir, 'launcher');
  const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  const config = join(FOLDER, 'tsconfig.json');
  await run(process.execPath, [tsc, '-p', config, '--noCheck', '--outDir', work.path], { signal: options.signal });
  const names = (await readdir(work.path)).filter((name) => name.endsWith('.js')).toSorted();
  for (const name of ADDONS) {
    const addon = join(work.path, `${name}.node`);
    await run('gcc', [...C_FLAGS, '-fvisibility=hidden', '-o', addon, join(FOLDER, `${name}.c`)], {
      signal: options.signal,
    });
    await rename(addon, join(outDir, `${name}.node`));
  }
  const launcher = names.filter((name) => !INSTALLER.test(name));
  const installer = names.filter((name) => INSTALLER.test(name));
  await writeFile(join(outDir, 'init1.js'), await joined(work.path, launcher, TAIL));
  await writeFile(join(outDir, 'vmlet-install.js'), await joined(work.path, installer, INSTALLER_TAIL));
}

async function joined(folder: string, names: readonly string[], tail: string): Promise<string> {
  const modules = await Promise.all(names.map(async (name) => asFunction(name, await readFile(join(folder, name)))));
  return `${HEAD}${modules.join('')}${tail}`;
}

function asFunction(name: string, compiled: Buffer): string {
  return `define['./${name}'] = (exports, require) => {\n${compiled}};\n`;
}

const HEAD = `'use strict';
const define = Object.create(null);
const made = Object.create(null);
const load = (name) => {
  if (define[name] === undefined) return require(name);
  if (made[name] === undefined) define[name]((made[name] = {}), load);
  return made[name];
};
load.cache = require.cache;
`;

const TAIL = `if (require.main === module) load('./main.js').main();
else module.exports = load('./frames.js');
`;

const INSTALLER_TAIL = `module.exports = load('./install.js').handler;
`;

const outDir = process.argv[2];
if (import.meta.main && outDir !== undefined) await buildNodeLauncher(outDir);
