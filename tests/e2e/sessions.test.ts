import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, lstat, mkdir, mkdtempDisposable, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { ItemHash } from '@vmlet/messages';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestNode, type TestNode } from '../framework/node.ts';
import { REPOSITORY } from '../framework/runtime.ts';

const PROGRAM = `
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})
`;
const VMLET = join(REPOSITORY, 'packages/cli/bin/vmlet');

let it: TestNode;
let program: ItemHash;
beforeAll(async () => {
  it = await startTestNode();
  program = await it.deploy({ 'main.py': PROGRAM }, { name: 'app', variables: { WORD: 'hi', OTHER: 'program' } });
});
afterAll(async () => it[Symbol.asyncDispose]());

function start(command: string, args: readonly string[]): ChildProcess {
  const env = { ...process.env, VMLET_HOME: it.home };
  return spawn(command, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
}

/** Runs `vmlet` in a process of its own. */
async function vmlet(args: readonly string[], input = '') {
  const child = start(VMLET, args);
  child.stdin?.on('error', () => {}).end(input);
  const closed = once(child, 'close');
  const [stdout, stderr] = await Promise.all([
    text(child.stdout ?? Readable.from([])),
    text(child.stderr ?? Readable.from([])),
  ]);
  const [code] = await closed;
  return { code, stdout, stderr };
}

const exec = (args: readonly string[], input = '') => vmlet(['exec', ...args], input);
const processes = async () => (await exec(['app', '--', 'sh', '-c', 'cat /proc/[0-9]*/cmdline | tr "\\0" " "'])).stdout;

describe('vmlet exec', () => {
  test('exec: wakes the machine, runs a command in it, and ends as that does', async () => {
    const done = await exec(['app', '--', 'sh', '-c', 'echo out; echo err >&2; pwd; exit 7']);
    expect(done).toMatchObject({ code: 7, stdout: 'out\n/opt/code\n' });
    expect(done.stderr).toMatch(/err\n$/);
    expect((await exec(['app', '--', 'sh', '-c', 'kill -TERM $$'])).code).toBe(143);
    const missing = await exec(['app', '--', 'no-such-command']);
    expect(missing).toMatchObject({ code: 127, stderr: 'Cannot run "no-such-command": No such file or directory\n' });
    expect((await exec(['app', '--', '/etc/passwd'])).code).toBe(126);
    const { programs } = await it.owner<{ programs: { itemHash: string; state: string }[] }>('/programs');
    expect(programs.find(({ itemHash }) => itemHash === program)?.state).toBe('running');
    expect(await it.logOf(program)).toContain('platform: Its owner has opened a session in the machine');
  });

  test('exec: finds the variables of the program, and those of the command line before them', async () => {
    const done = await exec(['-e', 'OTHER=line', 'app', '--', 'sh', '-c', 'echo $WORD $OTHER $PORT']);
    expect(done.stdout).toBe('hi line 8080\n');
  });

  test('exec: sends stdin when it is told to, and its end', async () => {
    const input = 'x'.repeat(300_000);
    expect(await exec(['-i', 'app', '--', 'cat'], input)).toMatchObject({ code: 0, stdout: input });
    expect(await exec(['app', '--', 'cat'], input)).toMatchObject({ code: 0, stdout: '' });
    const set = ['-e', 'A=b c', '-w', '/tmp', 'app', '--', 'sh', '-c', 'echo "$A $PWD $HOME"'];
    expect((await exec(set)).stdout).toBe('b c /tmp /root\n');
  });

  test('exec: carries a shell on a terminal, its size and its keys', async () => {
    // A terminal of 30 rows and 100 columns; when the shell is there it is made smaller, and Ctrl-C is typed.
    const script = `
import fcntl, os, pty, struct, sys, termios
pid, fd = pty.fork()
if pid == 0: os.execv(sys.argv[1], sys.argv[1:])
size = lambda rows, columns: fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
size(30, 100)
seen = all_seen = b""
def until(words):
    global seen, all_seen
    while words not in seen:
        part = os.read(fd, 4096)
        if not part: sys.exit("ended: " + repr(seen))
        seen += part
        all_seen += part
    seen = seen[seen.index(words) + len(words):]
until(b"# ")
os.write(fd, b"stty size; tty; echo rea''dy\\n"); until(b"30 100"); until(b"/dev/pts/"); until(b"ready")
size(11, 22)
os.write(fd, b"trap 'stty size; echo so''on' WINCH; while [ \\"$(stty size)\\" != '11 22' ]; do :; done; echo sma''ller\\n"); until(b"smaller")
# A job that says so itself is in the foreground: a key in the moment of its start would be the shell's.
os.write(fd, b"sh -c 'echo sleep$(:)ing; exec sleep 1000'\\n"); until(b"sleeping")
os.write(fd, b"\\x03"); until(b"# ")
os.write(fd, b"echo st''ill\\n"); until(b"still")
os.write(fd, b"exit 5\\n")
try:
    while part := os.read(fd, 4096): all_seen += part
except OSError: pass
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
if code != 5: print(repr(all_seen), file=sys.stderr)
sys.exit(code)`;
    const child = start('python3', ['-c', script, VMLET, 'exec', 'app']);
    const [, stderr] = await Promise.all([
      text(child.stdout ?? Readable.from([])),
      text(child.stderr ?? Readable.from([])),
      once(child, 'close'),
    ]);
    expect([child.exitCode, stderr]).toEqual([5, '']);
  });

  test('exec: ends the command in the machine, when the command line is killed', async () => {
    const child = start(VMLET, ['exec', 'app', '--', 'sh', '-c', 'echo here; exec sleep 4321']);
    await once(child.stdout ?? child, 'data');
    await expect.poll(processes, { timeout: 20_000 }).toContain('sleep 4321');
    child.kill('SIGKILL');
    await once(child, 'close');
    await expect.poll(processes, { timeout: 20_000 }).not.toContain('sleep 4321');
  });

  test('exec: hands on what it is told to end by', async () => {
    const trap = 'trap "echo told; exit 3" TERM; echo here; while :; do read _ </dev/null; sleep 0.1; done';
    const child = start(VMLET, ['exec', 'app', '--', 'sh', '-c', trap]);
    let stdout = '';
    child.stdout?.setEncoding('utf8').on('data', (part: string) => {
      stdout += part;
    });
    await once(child.stdout ?? child, 'data');
    child.kill('SIGTERM');
    await once(child, 'close');
    expect([stdout, child.exitCode]).toEqual(['here\ntold\n', 3]);
  });

  test('exec: says that there is no such program', async () => {
    expect(await exec(['nothing', '--', 'true'])).toMatchObject({ code: 3 });
  });
});

describe('vmlet cp', () => {
  test('cp: carries folders there and back, with links and permissions', async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
    const source = join(dir.path, 'tree');
    await mkdir(join(source, 'empty'), { recursive: true });
    await mkdir(join(source, 'sub'));
    const big = Buffer.alloc(3_000_000, 'abc\n');
    await writeFile(join(source, 'sub/big'), big);
    await writeFile(join(source, 'run.sh'), '#!/bin/sh\necho ran\n');
    await chmod(join(source, 'run.sh'), 0o755);
    await symlink('sub/big', join(source, 'link'));
    expect(await vmlet(['cp', '--json', source, 'app:/tmp/'])).toMatchObject({
      code: 0,
      stdout: `${JSON.stringify({ files: 2, folders: 3, links: 1, bytes: big.length + 19 })}\n`,
    });
    expect((await exec(['app', '--', '/tmp/tree/run.sh'])).stdout).toBe('ran\n');
    expect((await exec(['app', '--', 'sh', '-c', 'readlink /tmp/tree/link; wc -c < /tmp/tree/link'])).stdout).toBe(
      'sub/big\n3000000\n',
    );
    const back = join(dir.path, 'back');
    expect((await vmlet(['cp', 'app:/tmp/tree', back])).code).toBe(0);
    expect((await readFile(join(back, 'sub/big'))).equals(big)).toBe(true);
    expect(await readlink(join(back, 'link'))).toBe('sub/big');
    expect((await stat(join(back, 'run.sh'))).mode & 0o777).toBe(0o755);
    expect((await lstat(join(back, 'empty'))).isDirectory()).toBe(true);
    // Into a folder that is there.
    expect((await vmlet(['cp', 'app:/tmp/tree/run.sh', back])).code).toBe(0);
    expect((await vmlet(['cp', 'app:etc/hostname', join(dir.path, 'name')])).code).toBe(0);
    expect(await readFile(join(dir.path, 'name'), 'utf8')).toMatch(/\S/);
  });

  test('cp: says what is not there, and which side is missing', async () => {
    const missing = await vmlet(['cp', 'app:/no/such', '/tmp/x']);
    expect(missing).toMatchObject({ code: 7 });
    expect(missing.stderr).toContain('Cannot copy "/no/such": no such file or directory');
    expect(await vmlet(['cp', '/no/such', 'app:/tmp'])).toMatchObject({ code: 7 });
    expect(await vmlet(['cp', 'a', 'b'])).toMatchObject({ code: 2 });
  });

  test('cp: makes no special file, and no link that leads out', async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
    const make =
      'mkdir -p /tmp/odd && cd /tmp/odd && mkfifo pipe && mknod null c 1 3 && ln -sf /etc/passwd out && touch file && chmod 4755 file';
    expect((await exec(['app', '--', 'sh', '-c', make])).code).toBe(0);
    const done = await vmlet(['cp', 'app:/tmp/odd', join(dir.path, 'odd')]);
    expect(done.code).toBe(0);
    expect(done.stderr).toContain('left out "out"');
    expect((await stat(join(dir.path, 'odd/file'))).mode & 0o7777).toBe(0o755);
    for (const name of ['pipe', 'null', 'out']) await expect(lstat(join(dir.path, 'odd', name))).rejects.toThrow();
  });
});
