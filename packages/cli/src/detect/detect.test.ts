import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { walkFolder } from '../pack/walk.ts';
import { temporaryFolder } from '../testing.ts';
import { detectProgram, type Told } from './index.ts';

const { signal } = new AbortController();

/** What is found in a folder of these files; those of names without a dot, and scripts, may be run. */
async function detect(files: Record<string, string | Buffer>, told: Told = {}) {
  await using folder = await temporaryFolder(Object.fromEntries(Object.keys(files).map((path) => [path, ''])));
  for (const [path, content] of Object.entries(files)) {
    await writeFile(join(folder.path, path), content);
    if (!path.includes('.') || path.endsWith('.sh')) await chmod(join(folder.path, path), 0o755);
  }
  return await detectProgram(await walkFolder(folder.path, { signal }), '/app', told);
}

const manifest = (value: object) => JSON.stringify(value);

/** An ELF header with one segment: enough of a program to be recognised. */
function elf({ interpreter = '', machine = 62 } = {}): Buffer {
  const bytes = Buffer.alloc(256);
  bytes.write('\u007fELF', 0, 'latin1');
  bytes.set([2, 1, 1], 4);
  bytes.writeUInt16LE(machine, 18);
  bytes.writeBigUInt64LE(64n, 32);
  bytes.writeUInt16LE(56, 54);
  bytes.writeUInt16LE(1, 56);
  bytes.writeUInt32LE(interpreter === '' ? 1 : 3, 64);
  bytes.writeBigUInt64LE(128n, 72);
  bytes.writeBigUInt64LE(BigInt(interpreter.length + 1), 96);
  bytes.write(interpreter, 128, 'latin1');
  return bytes;
}

describe('detectProgram', () => {
  test.each([
    ['"main" of package.json', { 'package.json': manifest({ main: 'lib/a.js' }), 'lib/a.js': '' }, 'lib/a.js'],
    [
      '"main" without its extension',
      { 'package.json': manifest({ main: './lib' }), 'lib/index.cjs': '' },
      'lib/index.cjs',
    ],
    [
      '"exports" with conditions',
      { 'package.json': manifest({ exports: { '.': { import: './m.mjs' } } }), 'm.mjs': '' },
      'm.mjs',
    ],
    [
      '"start" with node',
      { 'package.json': manifest({ scripts: { start: 'node src/www' } }), 'src/www.js': '' },
      'src/www.js',
    ],
    [
      '"start" with tsx',
      { 'package.json': manifest({ scripts: { start: 'tsx watch app.ts' } }), 'app.ts': '' },
      'app.ts',
    ],
    [
      '"start" that builds first',
      { 'package.json': manifest({ scripts: { start: 'tsc && node dist/a.js' } }), 'dist/a.js': '' },
      'dist/a.js',
    ],
    [
      '"start" before "main"',
      { 'package.json': manifest({ main: 'a.js', scripts: { start: 'node b.js' } }), 'a.js': '', 'b.js': '' },
      'b.js',
    ],
    ['a usual name', { 'server.mjs': '' }, 'server.mjs'],
    ['a usual name below src', { 'package.json': '{}', 'src/index.ts': '' }, 'src/index.ts'],
  ])('detectProgram: finds a program for Node.js, when there is %s', async (_, files, entrypoint) => {
    const { plan, isGuess } = await detect(files);
    expect({ ...plan, isGuess }).toMatchObject({ kind: 'node', entrypoint, runtime: 'debian-11-node', isGuess: true });
    expect(plan.reason).not.toBe('');
  });

  test.each([
    ['a static binary', { main: elf() }, { entrypoint: 'main', runtime: 'minimal' }],
    [
      'a dynamic binary',
      { server: elf({ interpreter: '/lib64/ld-linux-x86-64.so.2' }) },
      { entrypoint: 'server', runtime: 'debian-12-python' },
    ],
    ['a shell script', { 'run.sh': '#!/bin/sh\nhttpd -f\n' }, { entrypoint: 'run.sh', runtime: 'minimal' }],
    [
      'a shell script beside a dynamic binary',
      { 'run.sh': '#!/bin/sh\n./x\n', x: elf({ interpreter: '/lib/ld' }) },
      { entrypoint: 'run.sh', runtime: 'debian-12-python' },
    ],
    [
      'a shell script that calls Python',
      { 'run.sh': '#!/bin/sh\nexec python3 a.py\n' },
      { runtime: 'debian-12-python', language: 'python' },
    ],
    [
      'a shell script that calls Node.js',
      { 'run.sh': '#!/bin/sh\nnode a.js\n' },
      { runtime: 'debian-11-node', language: 'node' },
    ],
    ['a script for bash', { 'run.sh': '#!/usr/bin/env bash\n:\n' }, { runtime: 'debian-12-python' }],
    [
      'a script for Python',
      { app: '#!/usr/bin/env python3\n' },
      { entrypoint: 'app', runtime: 'debian-12-python', language: 'python' },
    ],
  ])('detectProgram: finds an executable and its runtime, when there is %s', async (_, files, expected) => {
    const { plan } = await detect(files as Record<string, string | Buffer>);
    expect(plan).toMatchObject({ kind: 'executable', ...expected });
    expect(plan.runtimeReason).toBeTruthy();
  });

  test.each([
    [
      { Procfile: 'web: node srv.js\n', 'srv.js': '', 'main.py': 'app = 1' },
      { kind: 'node', entrypoint: 'srv.js' },
    ],
    [
      { Procfile: 'worker: x\nweb: gunicorn -w 2 api:make()\n', 'api.py': '' },
      { kind: 'python', entrypoint: 'api:make()' },
    ],
    [
      { Procfile: 'web: npm start', 'package.json': manifest({ scripts: { start: 'node a.js' } }), 'a.js': '' },
      { kind: 'node', entrypoint: 'a.js' },
    ],
    [
      { Procfile: 'web: ./srv --port $PORT', srv: elf() },
      { kind: 'executable', entrypoint: '/bin/sh', args: ['-c', './srv --port $PORT'], runtime: 'minimal' },
    ],
    [
      { 'package.json': manifest({ scripts: { start: 'next start' } }) },
      { kind: 'executable', entrypoint: '/bin/sh', runtime: 'debian-11-node', language: 'node' },
    ],
  ])('detectProgram: follows what a file says, when it is %o', async (files, expected) => {
    expect((await detect(files as Record<string, string | Buffer>)).plan).toMatchObject(expected);
  });

  test('detectProgram: says what else there is and how it is chosen, when there are several programs', async () => {
    const files = {
      'package.json': manifest({ main: 'index.js' }),
      'index.js': '',
      'main.py': 'app = 1',
      'run.sh': '#!/bin/sh',
    };
    const { plan, others } = await detect(files);
    expect(plan.entrypoint).toBe('index.js');
    expect(others.map((other) => other.entrypoint)).toEqual(['main:app', 'run.sh']);
    const front = await detect({ 'package.json': manifest({ main: 'index.js' }), 'main.py': 'app = 1', 'app.js': '' });
    expect([front.plan.entrypoint, ...front.others.map((other) => other.entrypoint)]).toEqual(['main:app', 'app.js']);
  });

  test.each([
    [{ entrypoint: './lib/a' }, { kind: 'node', entrypoint: 'lib/a.js' }],
    [{ entrypoint: 'lib/a.js:handler' }, { kind: 'node', entrypoint: 'lib/a.js:handler' }],
    [{ entrypoint: '.' }, { kind: 'node', entrypoint: 'lib/a.js' }],
    [{ entrypoint: 'api:app' }, { kind: 'python', entrypoint: 'api:app' }],
    [{ entrypoint: 'api.py' }, { kind: 'python', entrypoint: 'api:app' }],
    [{ entrypoint: 'own.py' }, { kind: 'executable', entrypoint: '/usr/bin/env', args: ['python3', 'own.py'] }],
    [{ entrypoint: 'srv' }, { kind: 'executable', entrypoint: 'srv', args: [] }],
    [
      { command: './srv --port 8080 "a b"' },
      { kind: 'executable', entrypoint: 'srv', args: ['--port', '8080', 'a b'] },
    ],
    [{ command: 'MODE=x node lib/a.js' }, { kind: 'node', entrypoint: 'lib/a.js', variables: { MODE: 'x' } }],
    [{ command: 'node --import ./x.mjs lib/a.js' }, { kind: 'executable', entrypoint: '/bin/sh', language: 'node' }],
    [{ command: 'python -m http.server' }, { kind: 'executable', args: ['python3', '-m', 'http.server'] }],
    [{ command: '/usr/bin/awk -f x' }, { kind: 'executable', entrypoint: '/usr/bin/awk' }],
    [{ file: 'srv' }, { kind: 'executable', entrypoint: 'srv', runtime: 'minimal' }],
  ])('detectProgram: takes what is told, when it is %o', async (told, expected) => {
    const files = {
      ...{ 'package.json': manifest({ main: 'lib/a.js' }), 'lib/a.js': '', 'api.py': 'app = 1' },
      ...{ 'own.py': 'print()', srv: elf() },
    };
    expect((await detect(files, told as Told)).plan).toMatchObject(expected);
  });

  test.each([
    [{ entrypoint: 'no.js' }, 'ENTRYPOINT_MALFORMED', 'a module of the folder (at its top: a.js)'],
    [{ entrypoint: 'nothing' }, 'ENTRYPOINT_MALFORMED', 'no "nothing" in the folder'],
    [{ entrypoint: 'a.js --x' }, 'ENTRYPOINT_MALFORMED', 'is for --command'],
    [{ entrypoint: '.' }, 'ENTRYPOINT_MALFORMED', 'no package.json'],
    [{ entrypoint: 'arm' }, 'EXECUTABLE_UNFIT', '64-bit ARM'],
    [{ entrypoint: 'mac' }, 'EXECUTABLE_UNFIT', 'macOS'],
    [{ command: '  ' }, 'COMMAND_MALFORMED', 'no program'],
    [{ command: './nothing' }, 'COMMAND_MALFORMED', 'no "nothing"'],
  ])('detectProgram: refuses what is told, when it is %o', async (told, code, words) => {
    const mac = Buffer.alloc(64);
    mac.writeUInt32BE(0xcffaedfe, 0);
    const detecting = detect({ 'a.js': '', arm: elf({ machine: 183 }), mac }, told as Told);
    await expect(detecting).rejects.toMatchObject({ code, message: expect.stringContaining(words) });
  });

  test('detectProgram: lists what it looked for, when nothing is found', async () => {
    await expect(detect({ 'main.py': 'print()' })).rejects.toThrow(/no application in main\.py, expected "app"/);
    await expect(detect({ 'readme.md': '' })).rejects.toThrow(/no program of a usual name in it, expected .*run\.sh/);
    const unbuilt = detect({ 'package.json': manifest({ main: 'dist/a.js', scripts: { build: 'tsc' } }) });
    await expect(unbuilt).rejects.toThrow(/names "dist\/a.js" in "main", which is not there \(not built yet/);
    await expect(detect({ 'package.json': '{' })).rejects.toMatchObject({ code: 'PACKAGE_UNREADABLE' });
  });
});
