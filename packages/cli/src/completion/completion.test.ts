import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { runCli, temporaryFolder } from '../testing.ts';

const BIN = dirname(fileURLToPath(new URL('../../bin/vmlet', import.meta.url)));

/** What is answered to a shell: the words, and what it adds of its own. */
async function answer(...words: string[]): Promise<{ words: string[]; files: string | undefined }> {
  const { exitCode, stdout } = await runCli(['__complete', '--', ...words]);
  expect(exitCode).toBe(0);
  const lines = stdout.trimEnd().split('\n');
  return { words: lines.slice(0, -1).map((line) => line.split('\t')[0] ?? ''), files: lines.at(-1) };
}

/** Runs a script in a shell that finds `vmlet`, with a home of its own. */
async function inShell(shell: string, args: readonly string[], cwd: string): Promise<string> {
  const env = { ...process.env, PATH: `${BIN}:${process.env.PATH}`, HOME: cwd, VMLET_CACHE: join(cwd, '.cache') };
  const child = spawn(shell, args, { env, cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  expect({ code, stderr }).toMatchObject({ code: 0 });
  return stdout;
}

describe('completion', () => {
  test.each([
    [['dep'], ['deploy'], ':none'],
    [['st'], ['stop', 'start'], ':none'],
    [['runtime', ''], ['ls', 'show', 'build'], ':none'],
    [['deploy', '--runti'], ['--runtime'], ':none'],
    [['deploy', '--runtime', 'debian-12'], ['debian-12-python'], ':folders'],
    [['deploy', '-r', 'debian-12'], ['debian-12-python'], ':folders'],
    [['deploy', '--runtime=debian-12'], ['--runtime=debian-12-python'], ':folders'],
    [['deploy', ''], [], ':folders'],
    [['deploy', '--home', ''], [], ':folders'],
    [['--home', '/x', 'ro'], ['rollback'], ':none'],
    [['up', '--log-level', 'i'], ['info'], ':none'],
    [['config', 'get', 'run'], ['runtime'], ':none'],
    [['completion', ''], ['bash', 'zsh', 'fish'], ':none'],
    [['deploy', '--', '--runti'], [], ':folders'],
    [['nonsense', ''], [], ':none'],
    [['__comp'], [], ':none'],
  ])('complete: knows what stands after %j', async (words, expected, files) => {
    const found = await answer(...words);
    expect(found.files).toBe(files);
    expect(found.words).toEqual(expect.arrayContaining(expected));
    if (expected.length < 3) expect(found.words).toEqual(expected);
  });

  test('complete: answers nothing of a node, and no error, when none runs', async () => {
    await using home = await temporaryFolder({
      'node.json': JSON.stringify({ format: 1, url: 'http://127.0.0.1:1', ownerSocket: '/nonexistent' }),
    });
    const { stdout, stderr } = await runCli(['__complete', '--', 'logs', ''], { env: { VMLET_HOME: home.path } });
    expect({ stdout, stderr }).toEqual({ stdout: ':none\n', stderr: '' });
  });

  test('completion bash: completes a command line that is typed at a prompt', async () => {
    await using folder = await temporaryFolder();
    // What a terminal does: sends what is typed, and shows what comes back.
    const terminal = `
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
def until(words, seen=b""):
    while words not in seen:
        seen += os.read(terminal, 4096)
    return seen
os.write(terminal, b"PS1=rea''dy'> '; source <(vmlet completion bash)\\n")
until(b"ready> ")
os.write(terminal, b"vmlet rollb\\t")
until(b"rollback ")
os.write(terminal, b"\\x15vmlet deploy --runtime=debian-12\\t")
until(b"--runtime=debian-12-python ")
os.write(terminal, b"\\x15exit\\n")
print("completed")
`;
    expect(await inShell('python3', ['-c', terminal], folder.path)).toBe('completed\n');
  });

  test('completion bash: gives words and folders, when asked', async () => {
    await using folder = await temporaryFolder({ 'file.txt': '' });
    await mkdir(join(folder.path, 'my app'));
    const script = `
source <(vmlet completion bash)
try() { COMP_WORDS=(vmlet "$@"); COMP_CWORD=$#; _vmlet; printf '<%s>' "\${COMPREPLY[@]}"; echo; }
try ro
try deploy --runtime = debian-12
try deploy m
complete -p vmlet`;
    const lines = (await inShell('bash', ['-c', script], folder.path)).split('\n');
    expect(lines).toEqual(['<rollback>', '<debian-12-python>', '<my app>', 'complete -F _vmlet vmlet', '']);
  });

  test('completion fish: gives words with what they are for, and folders', async () => {
    await using folder = await temporaryFolder({ 'file.txt': '' });
    await mkdir(join(folder.path, 'app'));
    const script = `vmlet completion fish | source; complete -C "vmlet rollb"; complete -C "vmlet deploy a"`;
    const lines = (await inShell('fish', ['--no-config', '-c', script], folder.path)).split('\n');
    expect(lines).toEqual([expect.stringMatching(/^rollback\tlead a name back/), expect.stringMatching(/^app\//), '']);
  });

  test('completion zsh: is loaded by compinit, and completes a command line that is typed', async () => {
    await using folder = await temporaryFolder();
    const script = `
zmodload zsh/zpty
zpty -b shell zsh -f -i
until() { local seen= part; while [[ $seen != *$1* ]]; do zpty -r shell part && seen+=$part; done }
zpty -w shell "PS1=rea''dy; autoload -Uz compinit; compinit -u -D; source <(vmlet completion zsh)"
until ready
zpty -w -n shell $'vmlet rollb\\t'
until rollback
zpty -d shell
echo completed`;
    expect(await inShell('zsh', ['-f', '-c', script], folder.path)).toBe('completed\n');
  });
});
