import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtempDisposable, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { CommandFailed, resolvePaths } from '@vmlet/host';
import { expect, test } from 'vitest';
import { type Box, openBox } from './index.ts';

const { cache } = resolvePaths();
const makeDir = () => mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));

async function setUp() {
  const dir = await makeDir();
  const box = await openBox(join(dir.path, 'boxes'), 'test', { cache });
  return {
    box,
    dir: dir.path,
    async [Symbol.asyncDispose]() {
      await box[Symbol.asyncDispose]();
      await dir.remove();
    },
  };
}

/** A tree with a shell, a few commands, and what they are linked to. */
async function makeTree(box: Box): Promise<void> {
  const script = `mkdir -p root/bin root/etc root/lib64
    for name in sh ls cat id touch chown; do
      cp -L /bin/$name root/bin/$name
      for library in $(ldd /bin/$name | grep -o '/[^ ]*'); do cp -L --parents $library root; done
    done`;
  await box.run(['sh', '-c', script]);
}

const failureOf = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

test('openBox: runs commands as a root that may give files away, in a folder of its own', async () => {
  await using it = await setUp();
  expect(await it.box.run(['id', '-u'])).toBe('0\n');
  await it.box.run(['sh', '-c', 'echo hello > a && chown 1000:50 a && chmod 4755 a']);
  expect(await it.box.run(['stat', '-c', '%u %g %a', 'a'])).toBe('1000 50 4755\n');
  expect((await stat(join(it.box.work, 'a'))).uid).toBeGreaterThan(65535);
  expect(await it.box.run(['cat'], { input: Readable.from(['fed']) })).toBe('fed');
  expect(await it.box.run(['sh', '-c', 'echo $A; pwd'], { env: { A: 'b' }, cwd: '/tmp' })).toBe('b\n/tmp\n');
  const lines: string[] = [];
  const failure = await failureOf(
    it.box.run(['sh', '-c', 'echo one >&2; echo two >&2; exit 7'], { onLine: (line) => lines.push(line) }),
  );
  expect(lines).toEqual(['one', 'two']);
  expect(failure).toBeInstanceOf(CommandFailed);
  expect(failure).toMatchObject({ command: 'sh', exitCode: 7, stderr: 'one\ntwo\n' });
});

test('openBox: shows nothing of the host but /usr and public parts of /etc, and lets nothing of it be written', async () => {
  await using it = await setUp();
  await writeFile(join(it.dir, 'secret'), 'secret', { mode: 0o644 });
  const { box } = it;
  expect((await box.run(['ls', '-A', '/'])).split('\n').sort().join(' ').trim()).toBe(
    'bin dev etc lib lib64 proc run sbin tmp usr var work',
  );
  for (const path of ['/etc/shadow', '/etc/ssh', '/etc/apt', '/root', '/home', '/sys', join(it.dir, 'secret')])
    expect(await failureOf(box.run(['ls', path])), path).toMatchObject({ stderr: expect.stringContaining('No such') });
  for (const path of ['/usr/x', '/usr/local/x', '/etc/passwd', '/etc/nsswitch.conf', '/proc/sysrq-trigger'])
    expect(await failureOf(box.run(['sh', '-c', `echo x >> ${path}`])), path).toBeInstanceOf(CommandFailed);
  const mounts = ['mount -t tmpfs x /mnt', 'mount -o remount,bind,rw /usr', 'umount -l /usr'];
  for (const command of mounts) await failureOf(box.run(['sh', '-c', `${command}; touch /usr/vmlet-was-here`]));
  expect(await failureOf(stat('/usr/vmlet-was-here'))).toMatchObject({ code: 'ENOENT' });
  expect(await failureOf(box.run(['mknod', 'disk', 'b', '254', '0']))).toBeInstanceOf(CommandFailed);
  expect(await box.run(['sh', '-c', 'ls -d /proc/[0-9]* | wc -l'])).toMatch(/^[1-5]\n$/);
  expect(await box.run(['sh', '-c', 'cut -d: -f1 /etc/passwd | head -n 1'])).toBe('root\n');
});

test('openBox: has no network, unless a command is given the host’s', async () => {
  await using it = await setUp();
  const server = createServer((socket) => socket.end('reached'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  const connect = ['bash', '-c', `exec 3<>/dev/tcp/127.0.0.1/${port} && cat <&3`];
  expect(await failureOf(it.box.run(connect))).toBeInstanceOf(CommandFailed);
  expect(await it.box.run(connect, { network: true })).toBe('reached');
  expect((await it.box.run(['sh', '-c', 'tail -n +3 /proc/net/dev | cut -d: -f1'])).trim()).toBe('lo');
  server.close();
});

test('openBox: binds what it is told to, read-only, from where only we may look', async () => {
  await using it = await setUp();
  const closed = join(it.dir, 'closed');
  await mkdir(closed);
  await writeFile(join(closed, 'file'), 'ours', { mode: 0o644 });
  await chmod(closed, 0o700);
  const readOnly = { [join(closed, 'file')]: '/given/file' };
  expect(await it.box.run(['cat', '/given/file'], { readOnly })).toBe('ours');
  expect(await failureOf(it.box.run(['sh', '-c', 'echo x > /given/file'], { readOnly }))).toBeInstanceOf(CommandFailed);
  expect(await readFile(join(closed, 'file'), 'utf8')).toBe('ours');
});

test('openBox: pivots into a tree, which sees itself, /proc and /dev, and is no link', async () => {
  await using it = await setUp();
  const { box } = it;
  await makeTree(box);
  expect(await box.run(['ls', '-A', '/'], { root: 'root' })).toBe('bin\ndev\netc\nlib\nlib64\nproc\n');
  expect(await box.run(['sh', '-c', 'id -u; touch /etc/a; chown 5:6 /etc/a; pwd'], { root: 'root' })).toBe('0\n/\n');
  expect(await box.run(['stat', '-c', '%u %g', 'root/etc/a'])).toBe('5 6\n');
  expect(await failureOf(box.run(['ls', '/usr'], { root: 'root' }))).toBeInstanceOf(CommandFailed);
  expect(await failureOf(box.run(['cat', '/dev/vda'], { root: 'root' }))).toBeInstanceOf(CommandFailed);
  await box.run(['sh', '-c', 'ln -s / host; mkdir in; ln -s ../root in/link']);
  for (const root of ['host', 'in/link', '../..', '/', '..'])
    expect(await failureOf(box.run(['ls'], { root })), root).toBeInstanceOf(CommandFailed);
});

test('openBox: ends everything when it is told to, or when whoever opened it dies', async () => {
  await using it = await setUp();
  const told = new AbortController();
  const running = it.box.run(['sh', '-c', 'echo up >&2; sleep 1000 & sleep 1000'], {
    signal: told.signal,
    onLine: () => told.abort(),
  });
  await expect(running).rejects.toThrow(/abort/i);

  const script = `
    import { openBox } from ${JSON.stringify(join(import.meta.dirname, 'index.ts'))};
    const box = await openBox(process.argv[1], 'killed', { cache: process.argv[2] });
    await box.run(['sh', '-c', 'echo $0 up >&2; sleep 1000 & sleep 1000'], { onLine: () => process.kill(process.pid, 'SIGKILL') });
  `;
  const parent = join(it.dir, 'left');
  const args = ['--input-type=module', '--eval', script, parent, cache];
  // It closes when the last process that holds its pipes has ended.
  await expect(promisify(execFile)(process.execPath, args)).rejects.toMatchObject({ signal: 'SIGKILL' });
  expect(await readdir(parent)).toHaveLength(1);
  await using next = await openBox(parent, 'next', { cache });
  expect(await readdir(parent)).toHaveLength(1);
  await expect(next.run(['ls', '-A'])).resolves.toBe('');
});

test('openBox: removes all that was in it, whoever owns it, and nothing that its links lead to', async () => {
  await using dir = await makeDir();
  await writeFile(join(dir.path, 'kept'), '');
  {
    await using box = await openBox(join(dir.path, 'boxes'), 'test', { cache });
    await box.run(['sh', '-c', 'mkdir -p a/b && touch a/b/c && chown -R 33:33 a && chmod 000 a/b']);
    await symlink(dir.path, join(box.work, 'link'));
  }
  expect(await readdir(join(dir.path, 'boxes'))).toEqual([]);
  expect(await readdir(dir.path)).toContain('kept');
});
