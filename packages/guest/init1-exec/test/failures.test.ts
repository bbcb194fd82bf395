import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Build, build, freePort, Launcher, type LauncherOptions, VARIANTS } from './harness.ts';

let built: Build;
beforeAll(() => {
  built = build();
});
afterAll(() => built[Symbol.dispose]());

/** Every message is one line of the house's form. */
const FORM = /^Cannot [^\r\n]*[^.]$/;

describe.each(VARIANTS)('init1-exec, $name', (variant) => {
  const start = (files: LauncherOptions['files'] = {}, more: Partial<LauncherOptions> = {}) =>
    new Launcher({ variant, built, files, ...more });

  /** Loads what cannot be loaded, and returns what was said and how the launcher ended. */
  async function fail(launcher: Launcher, entrypoint: string, more: Record<string, unknown> = {}) {
    const port = await freePort();
    await launcher.load(entrypoint, port, more);
    const { code: reason, phase, message, detail } = await launcher.until('failed');
    const { code, signal } = await launcher.end();
    expect(message).toMatch(FORM);
    expect({ phase, said: launcher.stderr.includes('init1-exec: ') }).toEqual({ phase: 'load', said: false });
    const text = String(message).replaceAll(launcher.folder, 'CODE').replaceAll(String(port), 'PORT');
    return { reason, message: text, detail, code, signal };
  }

  test.each([
    ['exit 3', 'ended with exit code 3', { code: 3, signal: null }],
    ['exit 0', 'ended with exit code 0', { code: 0, signal: null }],
    ['exit 255', 'ended with exit code 255', { code: 255, signal: null }],
    ['nonsense', 'exit code 127, which shells say for a command that is not found', { code: 127, signal: null }],
    ['exec /', 'exit code 126, which shells say for a command that cannot be run', { code: 126, signal: null }],
    ['kill -SEGV $$', 'was ended by SIGSEGV', { code: null, signal: 'SIGSEGV' }],
    ['kill -KILL $$', 'was ended by SIGKILL', { code: null, signal: 'SIGKILL' }],
    ['kill -TERM $$', 'was ended by SIGTERM', { code: null, signal: 'SIGTERM' }],
  ] as const)('PROGRAM_EXITED: says how, and ends the same way, after `%s`', async (line, words, end) => {
    await using launcher = start({ 'run.sh': `#!/bin/sh\n${line}\n` });
    const failed = await fail(launcher, 'run.sh');
    expect(failed).toMatchObject({ reason: 'PROGRAM_EXITED', detail: '', ...end });
    expect(failed.message).toMatch(/^Cannot load "run.sh": it (ended|was ended) .* before it listened on port PORT, /);
    expect(failed.message).toContain(words);
  });

  test('PROGRAM_EXITED: comes of a segmentation fault of a real program', async () => {
    await using launcher = start();
    expect(await fail(launcher, built.programs, { args: ['segv'] })).toMatchObject({
      reason: 'PROGRAM_EXITED',
      signal: 'SIGSEGV',
    });
  });

  test('ENTRYPOINT_NOT_FOUND: names what is near, else what is there', async () => {
    const files = { server: '', 'Server.sh': '', other: '', 'bin/tool': '' };
    for (const [entrypoint, words] of [
      ['serevr', 'no such file, expected a name like "server"'],
      ['SERVERR.SH', 'no such file, expected a name like "Server.sh"'],
      ['bin/whatever', 'no such file, expected one of "tool"'],
      ['none/server', ': No such file or directory'],
      ['other/server', ': Not a directory'],
    ] as const) {
      await using launcher = start(files);
      const failed = await fail(launcher, entrypoint);
      expect(failed).toMatchObject({ reason: 'ENTRYPOINT_NOT_FOUND', code: 127 });
      expect(failed.message).toBe(
        `Cannot find entrypoint "CODE/${entrypoint}"${words.startsWith(':') ? '' : ': '}${words}`,
      );
    }
  });

  test('EXEC_FAILED: names a missing interpreter, with and without the x bit', async () => {
    for (const plainFiles of [[], ['run.fish']]) {
      await using launcher = start({ 'run.fish': '#!/opt/none/fish -l\n' }, { plainFiles });
      expect(await fail(launcher, 'run.fish')).toMatchObject({
        reason: 'EXEC_FAILED',
        message: 'Cannot run "CODE/run.fish": its interpreter "/opt/none/fish" is missing, expected it in the runtime',
        code: 127,
      });
    }
  });

  test('EXEC_FAILED: names an interpreter that cannot be executed', async () => {
    await using launcher = start({ 'run.sh': '#!/etc/passwd\n' });
    expect(await fail(launcher, 'run.sh')).toMatchObject({
      reason: 'EXEC_FAILED',
      message: 'Cannot run "CODE/run.sh" by its interpreter "/etc/passwd": Permission denied',
      detail: 'EACCES: Permission denied',
      code: 126,
    });
  });

  test('EXEC_FAILED: names the missing loader of a dynamic program', async () => {
    const program = Buffer.from(readFileSync('/bin/true'));
    const at = program.indexOf('/lib64/ld-linux-x86-64.so.2\0');
    program.write('/lib/ld-musl-x86_64.so.1\0', at);
    await using launcher = start({ program });
    expect(await fail(launcher, 'program')).toMatchObject({
      reason: 'EXEC_FAILED',
      message:
        'Cannot run "CODE/program": its loader "/lib/ld-musl-x86_64.so.1" is missing, expected it in the runtime',
      code: 127,
    });
  });

  test('EXEC_FAILED: says what a file is that is no program of this machine', async () => {
    const arm = Buffer.from(readFileSync('/bin/true'));
    arm.writeUInt16LE(0xb7, 18);
    for (const [content, words] of [
      [arm, 'a program for AArch64'],
      [Buffer.from('MZ\x90\0\x03'), 'a program for Windows'],
      [Buffer.from('cffaedfe07000001', 'hex'), 'a program for macOS'],
      ['PK\x03\x04', 'a zip archive'],
      ['print("no first line")\n', 'neither program nor script'],
      ['#!\n', 'neither program nor script'],
      ['', 'an empty file'],
      ['\x7fELF', 'a program that this kernel does not take'],
    ] as const) {
      for (const plainFiles of variant.unprivileged ? [[]] : [[], ['file']]) {
        await using launcher = start({ file: content }, { plainFiles });
        expect(await fail(launcher, 'file')).toMatchObject({
          reason: 'EXEC_FAILED',
          message: `Cannot run "CODE/file": it is ${words}, expected an ELF program for x86-64, or a script that begins with "#!"`,
          code: 126,
        });
      }
    }
  });

  test('EXEC_FAILED: comes of a folder', async () => {
    await using launcher = start({ 'bin/tool': '' });
    expect(await fail(launcher, 'bin')).toMatchObject({
      reason: 'EXEC_FAILED',
      message: 'Cannot run "CODE/bin": no regular file, expected a program or a script',
      code: 126,
    });
  });

  test('LOAD_MALFORMED: names the field', async () => {
    for (const [more, field] of [
      [{ entrypoint: '' }, 'entrypoint'],
      [{ entrypoint: 'a\0b' }, 'entrypoint'],
      [{ port: 0 }, 'port'],
      [{ port: 65_536 }, 'port'],
      [{ args: [1] }, 'args[]'],
      [{ args: ['a\0b'] }, 'args[]'],
      [{ args: Array(257).fill('x') }, 'args[]'],
      [{ variables: { A: null } }, 'variables{}'],
    ] as const) {
      await using launcher = start();
      const failed = await fail(launcher, 'x', more);
      expect(failed).toMatchObject({ reason: 'LOAD_MALFORMED', code: 70 });
      expect(failed.message).toContain(`"${field}"`);
    }
  });

  test('frames: a malformed one ends the launcher and its program, with a word on stderr', async () => {
    for (const [bytes, words] of [
      ['00000000', 'FRAME_EMPTY: Cannot read frame: length 0, expected 1 to 1048576 bytes'],
      ['000000017b', 'FRAME_NOT_JSON: Cannot read frame: text that does not parse, expected JSON'],
    ] as const) {
      await using launcher = start();
      await launcher.load(built.programs, await freePort());
      await launcher.until('loaded');
      launcher.channel.write(Buffer.from(bytes, 'hex'));
      expect(await launcher.end()).toEqual({ code: 70, signal: null, frames: ['ready', 'loaded'] });
      expect(launcher.stderr).toBe(`init1-exec: ${words}\n`);
    }
  });

  test('frames: a channel that closes inside one ends the launcher', async () => {
    await using launcher = start();
    await launcher.until('ready');
    launcher.channel.end(Buffer.from([0, 0, 0, 9, 0x7b]));
    expect(await launcher.end()).toMatchObject({ code: 70 });
    expect(launcher.stderr).toContain('FRAME_TRUNCATED');
  });

  test('folder: a missing one matters to a relative entrypoint only', async () => {
    await using relative = start({}, { codeFolder: '/nowhere' });
    expect(await fail(relative, 'x')).toMatchObject({
      reason: 'ENTRYPOINT_NOT_FOUND',
      message: 'Cannot enter folder "/nowhere": No such file or directory',
      code: 127,
    });
    await using absolute = start({}, { codeFolder: '/nowhere' });
    await absolute.load(built.programs, await freePort());
    await absolute.until('loaded');
  });
});
