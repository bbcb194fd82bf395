import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { runCli, temporaryFolder } from './testing.ts';

/** `vmlet` with a config folder of its own; what it answers, as JSON where it does. */
async function setUp() {
  const folder = await temporaryFolder();
  const config = join(folder.path, 'config');
  return {
    config,
    file: join(config, 'config.json'),
    vmlet: (args: string[], env: Record<string, string> = {}) =>
      runCli(args, { cwd: folder.path, env: { VMLET_CONFIG: config, VMLET_HOME: join(folder.path, 'home'), ...env } }),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

describe('vmlet config', () => {
  test('config: keeps a setting in a file for its user only, and takes it out again', async () => {
    await using it = await setUp();
    expect((await it.vmlet(['config', 'path'])).stdout).toBe(`${it.file}\n`);
    expect(await it.vmlet(['config', 'get', 'memory'])).toMatchObject({ exitCode: 3, stdout: '' });
    expect((await it.vmlet(['config', 'set', 'memory', '512'])).exitCode).toBe(0);
    expect(JSON.parse(await readFile(it.file, 'utf8'))).toEqual({ format: 1, settings: { memory: '512' } });
    expect((await stat(it.file)).mode & 0o777).toBe(0o600);
    expect((await it.vmlet(['config', 'get', 'memory'])).stdout).toBe('512\n');
    expect((await it.vmlet(['config', 'get', 'memory'], { VMLET_MEMORY: '64' })).stdout).toBe('64\n');
    const { settings } = JSON.parse((await it.vmlet(['config', 'ls', '--json'])).stdout);
    expect(settings).toContainEqual(expect.objectContaining({ key: 'memory', value: '512', source: 'file' }));
    expect((await it.vmlet(['config', 'unset', 'memory'])).stderr).toBe('memory was 512\n');
    expect((await it.vmlet(['config', 'get', 'memory'])).exitCode).toBe(3);
  });

  test.each([
    [['set', 'memory', '5'], 2, 'Cannot use the setting "memory" of the command line: its option does not take it'],
    [['set', 'node', 'nowhere'], 2, 'it is no URL'],
    [['set', 'listen', '80'], 2, 'expected HOST:PORT'],
    [['set', 'colour', 'red'], 3, 'Cannot find the setting "colour"'],
    [['get', 'colour'], 3, 'expected one of node, runtime, memory'],
  ])('config: refuses %j with status %d', async (args, status, words) => {
    await using it = await setUp();
    const { exitCode, stderr } = await it.vmlet(['config', ...args]);
    expect(exitCode).toBe(status);
    expect(stderr).toContain(words);
  });

  test.each(['{', '[]', '{"format":2,"settings":{}}', '{"format":1,"settings":{"colour":"red"}}', '{"format":1}'])(
    'config: names the file, when it holds %s',
    async (text) => {
      await using it = await setUp();
      await it.vmlet(['config', 'set', 'memory', '512']);
      await writeFile(it.file, text);
      for (const args of [['ls'], ['config', 'ls']]) {
        const { exitCode, stderr } = await it.vmlet(args);
        expect(exitCode).toBe(7);
        expect(stderr).toContain(`Cannot read the settings in "${it.file}"`);
      }
      expect((await it.vmlet(['config', 'path'])).exitCode).toBe(0);
    },
  );

  test('settings: come after options and the environment, and before defaults', async () => {
    await using it = await setUp();
    const asked = async (args: string[], env: Record<string, string> = {}) =>
      (await it.vmlet(['ls', ...args], env)).stderr;
    await it.vmlet(['config', 'set', 'node', 'http://127.0.0.1:1']);
    expect(await asked([])).toContain('Cannot ask "http://127.0.0.1:1"');
    expect(await asked([], { VMLET_NODE: 'http://127.0.0.1:2' })).toContain('Cannot ask "http://127.0.0.1:2"');
    expect(await asked(['--node', 'http://127.0.0.1:3'])).toContain('Cannot ask "http://127.0.0.1:3"');
    const deploy = (env: Record<string, string>, ...args: string[]) => it.vmlet(['deploy', '.', ...args], env);
    const bad = await deploy({ VMLET_MEMORY: 'much' });
    expect(bad).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('the setting "memory" of VMLET_MEMORY') });
    // An option that is given is not asked for anywhere else.
    expect((await deploy({ VMLET_MEMORY: 'much' }, '--memory', '112')).stderr).not.toContain('VMLET_MEMORY');
    await it.vmlet(['config', 'set', 'seconds', '9']);
    await writeFile(it.file, '{"format":1,"settings":{"seconds":"never"}}');
    expect((await deploy({})).stderr).toContain(`the setting "seconds" of ${it.file}`);
  });
});
