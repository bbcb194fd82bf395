import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { CliError } from './errors.ts';
import { EXIT_CODE_MEANINGS, exitCodeHelp } from './exit-codes.ts';
import { runCli, temporaryFolder } from './testing.ts';
import { VERSION } from './version.ts';

const VERBS = ['up', 'deploy', 'invoke', 'ls', 'logs', 'rm', 'doctor', 'demo', 'top', 'stop', 'start', 'restart'];
VERBS.push('backup', 'restore', 'forget', 'rollback', 'name', 'config', 'install-service', 'completion');
/** Commands of groups. */
const NOUNS = {
  name: ['ls', 'rm'],
  runtime: ['ls', 'show', 'build', 'publish', 'import', 'alias', 'init-files', 'new', 'schema'],
  message: ['show'],
  config: ['ls', 'get', 'set', 'unset', 'path'],
};

describe('help', () => {
  test.each(VERBS)('vmlet %s --help: shows examples and the exit status, when asked', async (verb) => {
    const { exitCode, stdout, stderr } = await runCli([verb, '--help']);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toContain(`Usage: vmlet ${verb}`);
    expect(stdout).toMatch(/Examples:\n {2}\$ /);
    expect(stdout).toContain(exitCodeHelp());
    expect(stdout).toContain('--json');
    expect(await runCli(['help', verb])).toEqual({ exitCode, stdout, stderr });
  });

  test.each(Object.entries(NOUNS).flatMap(([noun, verbs]) => verbs.map((verb) => [noun, verb] as const)))(
    'vmlet %s %s --help: shows examples and the exit status, when asked',
    async (noun, verb) => {
      const { exitCode, stdout, stderr } = await runCli([noun, verb, '--help']);
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
      expect(stdout).toContain(`Usage: vmlet ${noun} ${verb}`);
      expect(stdout).toMatch(/Examples:\n {2}\$ /);
      expect(stdout).toContain(exitCodeHelp());
    },
  );

  test('vmlet runtime: shows the help of a group, when no command of it is named', async () => {
    const { exitCode, stdout, stderr } = await runCli(['runtime']);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toMatch(/^Usage: vmlet runtime .*\n[\s\S]*\bbuild\b/);
  });

  test('vmlet: shows its help, when nothing is asked', async () => {
    const { exitCode, stdout } = await runCli([]);
    expect(exitCode).toBe(0);
    for (const verb of VERBS) expect(stdout).toMatch(new RegExp(`^ {2}${verb}\\b`, 'm'));
    expect(stdout).toContain(exitCodeHelp());
  });

  test('README: has the same table of exit status, when compared', async () => {
    const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8');
    const rows = [...readme.matchAll(/^\| +(\d+) \| (.+?) *\|$/gm)].map(([, code, meaning]) => [Number(code), meaning]);
    expect(rows).toEqual(EXIT_CODE_MEANINGS.map((row) => [...row]));
  });
});

describe('command line', () => {
  test.each([
    [['deplyo'], 'Cannot run "deplyo": no such command', 'Did you mean: vmlet deploy'],
    [['deploy', '--memry', '1'], 'unknown option "--memry" (Did you mean --memory?)', 'See: vmlet deploy --help'],
    [['deploy', '--memory', 'x'], 'Cannot read --memory: found "x"', 'See: vmlet --help'],
    [['deploy', 'a', 'b'], 'too many arguments for "deploy"', 'See: vmlet deploy --help'],
    [['runtime', 'shwo'], 'Cannot run "runtime shwo": no such command', 'Did you mean: vmlet runtime show'],
    [['name', 'rm'], 'missing required argument "name"', 'See: vmlet name rm --help'],
    [['logs'], 'missing required argument "program"', 'See: vmlet logs --help'],
    [['up', '--log-level', 'loud'], 'Allowed choices are trace', 'See: vmlet up --help'],
    [['ls', '--node', 'ftp://x'], 'its scheme is "ftp:"', 'Correct --node, VMLET_NODE, or the setting'],
  ])('vmlet %j: ends with status 2 in one voice, when it is not understood', async (args, cause, next) => {
    const { exitCode, stdout, stderr } = await runCli(args);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toMatch(/^error: Cannot .*, expected .*\n {2}next: .*\n$/);
    expect(stderr).toContain(cause);
    expect(stderr).toContain(`next: ${next}`);
    const asJson = await runCli([...args, '--json']);
    expect(asJson.exitCode).toBe(2);
    expect(JSON.parse(asJson.stderr)).toMatchObject({ error: { phase: expect.any(String), exitCode: 2 } });
  });

  test('vmlet: says where it looked, when no node runs', async () => {
    await using home = await temporaryFolder();
    const commands = ['ls', 'logs x', 'invoke x', 'rm x', 'deploy .', 'top', 'stop x', 'start x', 'restart x'];
    commands.push('rollback x', 'name x y', 'name ls', 'name rm x');
    for (const command of commands) {
      const args = [...command.split(' '), '--home', '.'];
      const { exitCode, stderr } = await runCli(args, { cwd: home.path });
      expect({ command, exitCode }).toEqual({ command, exitCode: 6 });
      expect(stderr).toContain(`no "node.json" in "${home.path}"`);
      const asJson = await runCli([...args, '--json'], { cwd: home.path });
      const shown = { code: 'NODE_NOT_RUNNING', phase: 'connect', exitCode: 6 };
      const words = { cause: expect.stringMatching(/^Cannot /), next: expect.stringMatching(/^Start one/) };
      expect(JSON.parse(asJson.stderr)).toEqual({ error: { ...shown, ...words } });
    }
  });

  test('vmlet: cannot do owner commands, when only the URL of a node is known', async () => {
    for (const args of [['ls'], ['logs', 'hello'], ['stop', 'hello'], ['invoke', 'hello@2']]) {
      const { exitCode, stderr } = await runCli(args, { env: { VMLET_NODE: 'http://127.0.0.1:1' } });
      expect(exitCode).toBe(8);
      expect(stderr).toContain('only its URL is known, expected its owner socket');
    }
  });

  test('vmlet: says that the node is gone, when its file outlived it', async () => {
    const record = { format: 1, url: 'http://127.0.0.1:1', ownerSocket: '/nonexistent/owner.sock' };
    await using home = await temporaryFolder({ 'node.json': JSON.stringify(record) });
    const { exitCode, stderr } = await runCli(['ls'], { env: { VMLET_HOME: home.path } });
    expect(exitCode).toBe(6);
    expect(stderr).toContain('there is no such socket, expected it to run');
  });

  test('vmlet: ends with status 130, when interrupted', async () => {
    const record = { format: 1, url: 'http://127.0.0.1:1', ownerSocket: '/nonexistent/owner.sock' };
    await using home = await temporaryFolder({ 'node.json': JSON.stringify(record) });
    const signal = AbortSignal.abort(new CliError('INTERRUPTED', { operands: { signal: 'SIGINT' } }));
    const { exitCode, stderr } = await runCli(['ls'], { env: { VMLET_HOME: home.path }, signal });
    expect(exitCode).toBe(130);
    expect(stderr).toContain('interrupted by SIGINT');
  });
});

test('bin/vmlet: finds its Node.js and its main, when started through a link from elsewhere', async () => {
  const script = new URL('../bin/vmlet', import.meta.url).pathname;
  await using folder = await temporaryFolder({ vmlet: `->${script}` });
  const run = promisify(execFile);
  const { stdout } = await run(join(folder.path, 'vmlet'), ['--version'], { cwd: folder.path });
  expect(stdout).toBe(`${VERSION}\n`);
  const failing = run(join(folder.path, 'vmlet'), ['nonsense']);
  await expect(failing).rejects.toMatchObject({ code: 2, stderr: expect.stringMatching(/^error: Cannot run/) });
});
