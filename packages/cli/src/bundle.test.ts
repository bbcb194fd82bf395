import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { inflateRawSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { bundleProgram } from './bundle.ts';
import { temporaryFolder } from './testing.ts';

const { signal } = new AbortController();
const run = promisify(execFile);

const APP = {
  'package.json': '{ "dependencies": { "cjs": "1" } }',
  'src/server.tsx': `
    import cjs from 'cjs';
    enum Word { Hello = 'hello' }
    export function fail(): never { throw new Error('from line 4'); }
    export default { fetch: () => new Response(Word.Hello + cjs.sep) };`,
  'node_modules/cjs/package.json': '{ "name": "cjs", "version": "1.0.0" }',
  'node_modules/cjs/index.js': "exports.sep = require('path').sep + require('./other').word;",
  'node_modules/cjs/other.js': "exports.word = 'cjs';",
};

test('bundleProgram: makes one module of a program and its packages, with the lines of the sources in its stacks', async () => {
  await using folder = await temporaryFolder(APP);
  const bundle = await bundleProgram(folder.path, 'src/server.tsx:fail', signal);
  expect(bundle.entrypoint).toBe('src/server.bundle.mjs:fail');
  expect([...bundle.inputs].toSorted()).toEqual([
    'node_modules/cjs/index.js',
    'node_modules/cjs/other.js',
    'src/server.tsx',
  ]);
  await using alone = await temporaryFolder();
  for (const { path, packed, method } of bundle.entries) {
    await mkdir(dirname(join(alone.path, path)), { recursive: true });
    await writeFile(join(alone.path, path), method === 8 ? inflateRawSync(packed) : packed);
  }
  const script = `
    const { default: app, fail } = await import('./src/server.bundle.mjs');
    console.log(await (await app.fetch()).text());
    try { fail(); } catch (error) { console.log(error.stack); }`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], { cwd: alone.path });
  expect(stdout).toMatch(/^hello\/cjs\nError: from line 4\n +at .*server\.tsx:4:/);
  const again = await bundleProgram(folder.path, 'src/server.tsx:fail', signal);
  expect(again.entries).toEqual(bundle.entries);
});

test('bundleProgram: says what does not resolve, and where', async () => {
  await using folder = await temporaryFolder({ 'a.js': "import 'nowhere';" });
  await expect(bundleProgram(folder.path, 'a.js', signal)).rejects.toMatchObject({
    code: 'BUNDLE_FAILED',
    message: expect.stringContaining('Could not resolve "nowhere"'),
    detail: expect.stringMatching(/^a\.js:1: /),
  });
});
