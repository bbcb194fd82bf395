import { execFile } from 'node:child_process';
import { mkdir, mkdtempDisposable, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { resolvePaths } from '@vmlet/host';
import { expect, test } from 'vitest';
import { ensureBootKit } from './boot-kit.ts';
import { writeInitFiles } from './init-files.ts';

const command = promisify(execFile);
const kit = await ensureBootKit({ cache: resolvePaths().cache });
const makeDir = () => mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));

test('writeInitFiles: writes init0 and what the drive of the kit has, but for the modules, and says so', async () => {
  await using dir = await makeDir();
  const folder = join(dir.path, 'new/files');
  expect(await writeInitFiles(kit, folder)).toEqual([
    'sbin/init',
    'root/vmlet/README',
    'root/vmlet/init1',
    'root/vmlet/pip',
    'root/vmlet/python',
  ]);
  expect(await readdir(folder)).toEqual(['root', 'sbin']);
  const { mode, size } = await stat(join(folder, 'sbin/init'));
  expect(mode & 0o777).toBe(0o555);
  expect(size).toBe((await stat(kit.init0)).size);
  const launchers = join(folder, 'root/vmlet/init1');
  expect((await readdir(launchers)).sort()).toEqual(['exec', 'node', 'python']);
  expect((await readdir(join(launchers, 'node'))).sort()).toEqual([
    'compilers.node',
    'init1.js',
    'replace.node',
    'reseed.node',
    'vmlet-install.js',
  ]);
  // What is here runs: init0 says that it is not PID 1, and the launcher of executables has no channel.
  await expect(command(join(folder, 'sbin/init'))).rejects.toMatchObject({ code: 64 });
  await expect(command('python3', [join(launchers, 'python/init1.py')])).rejects.toMatchObject({
    stderr: expect.stringContaining('VMLET_CONTROL_FD'),
  });
  const bytecode = await readdir(join(folder, 'root/vmlet/python/uvicorn/__pycache__'));
  expect(bytecode.length).toBeGreaterThan(5);
});

test('writeInitFiles: replaces its own files, leaves others, and writes the launchers of what is there only', async () => {
  await using dir = await makeDir();
  await mkdir(join(dir.path, 'root/vmlet/old'), { recursive: true });
  await writeFile(join(dir.path, 'root/mine'), 'mine');
  await mkdir(join(dir.path, 'sbin'));
  await writeFile(join(dir.path, 'sbin/init'), 'other');
  expect(await writeInitFiles(kit, dir.path, { languages: [] })).not.toContain('root/vmlet/old');
  expect(await readFile(join(dir.path, 'root/mine'), 'utf8')).toBe('mine');
  expect(await readdir(join(dir.path, 'root/vmlet/init1'))).toEqual(['exec']);
  await writeInitFiles(kit, dir.path, { languages: ['node'] });
  expect((await readdir(join(dir.path, 'root/vmlet/init1'))).sort()).toEqual(['exec', 'node']);
  expect((await readdir(join(dir.path, 'root/vmlet'))).sort()).toEqual(['README', 'init1']);
});
