import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtempDisposable, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { inputs } from '../../../../tests/framework/variants.ts';
import { SURVEY_SOURCES } from '../../kit/boot-kit.ts';

const run = promisify(execFile);
const SOURCES = join(import.meta.dirname, '..');
let dir: Awaited<ReturnType<typeof mkdtempDisposable>>;
let folder: string;
let survey: string;

beforeAll(async () => {
  dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  folder = dir.path;
  survey = join(folder, 'survey');
  const flags = ['-std=gnu11', '-O1', '-g', '-Wall', '-Wextra', '-Werror', '-fsanitize=address,undefined'];
  const strict = ['-fno-sanitize-recover=all', '-fno-omit-frame-pointer'];
  const files = SURVEY_SOURCES.map((name) => join(SOURCES, `${name}.c`));
  await run('gcc', [...flags, ...strict, '-o', survey, ...files]);
  const elf = ['elf.c', 'test/elf-fuzz.c'].map((name) => join(SOURCES, name));
  await run('gcc', [...flags, ...strict, '-I', SOURCES, '-o', join(folder, 'elf-fuzz'), ...elf]);
});
afterAll(async () => await dir[Symbol.asyncDispose]());

/** Surveys a folder with the sanitizers on; parts that run nothing of it. */
async function look(root: string, parts = ['system', 'packages', 'files']): Promise<Record<string, unknown>[]> {
  const { stdout, stderr } = await run(survey, ['--root', root, ...parts], { maxBuffer: 64 * 1024 * 1024 });
  expect(stderr).toBe('');
  const records = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(records.at(-1)).toEqual({ kind: 'end', records: records.length - 1 });
  return records;
}

async function newRoot(name: string, files: Record<string, string | Buffer>): Promise<string> {
  const root = join(folder, name);
  for (const [path, data] of Object.entries(files)) {
    await mkdir(join(root, path, '..'), { recursive: true });
    await writeFile(join(root, path), data);
  }
  return root;
}

test('survey: reads files of the image only, wherever its links lead', async () => {
  const root = await newRoot('links', { 'etc/inside': 'ID=inside\n', 'usr/x': '' });
  await symlink('/etc/inside', join(root, 'etc/os-release'));
  await symlink('../../../../../../../../etc/passwd', join(root, 'etc/nsswitch.conf'));
  await symlink('/dev/zero', join(root, 'etc/machine-id'));
  await run('mkfifo', [join(root, 'etc/shadow'), join(root, 'etc/modules')]);
  const records = await look(root, ['system']);
  const of = (kind: string) => records.find((record) => record.kind === kind);
  expect(of('osRelease')).toMatchObject({ error: '', text: 'ID=inside\n' });
  expect(of('nsswitch')).toMatchObject({ error: 'ENOENT', text: '' });
  expect(of('machineId')).toMatchObject({ error: 'ENOENT' });
});

test('survey: knows packages of Debian, of Alpine, and of images without a package manager', async () => {
  const root = await newRoot('packages', {
    'var/lib/dpkg/status':
      'Package: held\nStatus: hold ok installed\nVersion: 1\nInstalled-Size: 7\nDescription: x\n continued\n\nPackage: half\nStatus: install reinstreq half-installed\nVersion: 1\n\nPackage: last\nStatus: install ok installed\nVersion: 2',
    'var/lib/dpkg/status.d/base': 'Package: base-files\nVersion: 12\nArchitecture: amd64\n',
    'var/lib/dpkg/status.d/base.md5sums': 'Package: no\nVersion: 1\n',
    'lib/apk/db/installed': 'C:Q1x=\nP:musl\nV:1.2.5-r0\nA:x86_64\nI:405504\n\nP:nameless\n\nV:1\n',
  });
  const packages = (await look(root, ['packages'])).filter(({ kind }) => kind === 'package');
  expect(packages.map(({ manager, name, version, bytes }) => [manager, name, version, bytes])).toEqual([
    ['dpkg', 'held', '1', 7168],
    ['dpkg', 'last', '2', 0],
    ['dpkg', 'base-files', '12', 0],
    ['apk', 'musl', '1.2.5-r0', 405504],
  ]);
});

test('survey: whatever bytes its files hold, it prints records and breaks no rule of C', async () => {
  const status = await readFile('/var/lib/dpkg/status');
  const seeds: Record<string, Buffer> = {
    'etc/os-release': Buffer.from('PRETTY_NAME="x"\nID=y\n'),
    'etc/shadow': Buffer.from('root:*:1:\nme:$6$x:1:\n'),
    'etc/modules': Buffer.from('# x\nloop\n nbd # y\n'),
    'etc/modules-load.d/a.conf': Buffer.from('tun;x\n'),
    'etc/ssl/cert.pem': Buffer.from('-----BEGIN CERTIFICATE-----\n'),
    'root/.npmrc': Buffer.from('_authToken=x'),
    'root/k.pem': Buffer.from('-----BEGIN PRIVATE KEY-----'),
    'var/lib/dpkg/status': status.subarray(0, 6000),
    'lib/apk/db/installed': Buffer.from('P:a\nV:1\nI:99999999999999999999\n\n'),
    'lib/x86_64-linux-gnu/libc.so.6': Buffer.from('release version 2.'),
    'sbin/init': Buffer.from('--root-is-made'),
  };
  const random = generator(20_261_124);
  for (let round = 0; round < inputs({ usual: 40, all: 2000 }); round++) {
    const files = Object.fromEntries(Object.entries(seeds).map(([path, seed]) => [path, mutate(seed, random)]));
    await look(await newRoot('fuzz', files));
  }
});

test('survey: an executable is looked at, whatever its headers say', async () => {
  const seed = await readFile('/bin/true');
  const random = generator(7);
  const input: Buffer[] = [];
  const rounds = inputs({ usual: 3000, all: 100_000 });
  const fuzz = spawn(join(folder, 'elf-fuzz'), [], { stdio: ['pipe', 'pipe', 'pipe'] });
  const ended = once(fuzz, 'close');
  const said = Promise.all([buffer(fuzz.stdout), buffer(fuzz.stderr)]);
  for (let round = 0; round < rounds; round++) {
    const file = mutate(seed.subarray(0, 4096), random);
    const head = Buffer.alloc(4);
    head.writeUInt32LE(file.length);
    input.push(head, file);
  }
  fuzz.stdin.end(Buffer.concat(input));
  const [stdout, stderr] = await said;
  expect(await ended).toEqual([0, null]);
  expect([stdout.toString(), stderr.toString()]).toEqual([`${rounds}\n`, '']);
});

test('survey: says how it is used, and ends when nobody listens', async () => {
  await expect(run(survey, ['nothing'])).rejects.toMatchObject({
    code: 64,
    stderr: expect.stringContaining('parts: '),
  });
  await expect(run(survey, [])).rejects.toMatchObject({ code: 64 });
  const broken = spawn(survey, ['--root', folder, 'files'], { stdio: ['ignore', 'pipe', 'ignore'] });
  broken.stdout.destroy();
  await once(broken, 'close');
  expect(broken.signalCode ?? broken.exitCode).not.toBe(0);
});

test('survey tar: an archive of a folder is what tar makes of it, and is the same each time', async () => {
  const root = await newRoot('tar', { 'a/one': 'one', [`${'x'.repeat(90)}/${'y'.repeat(90)}/z`]: 'deep', 'a/ü': '' });
  await run('ln', [join(root, 'a/one'), join(root, 'b')]);
  await symlink('y'.repeat(150), join(root, 'link'));
  await run('mkfifo', [join(root, 'pipe')]);
  const archive = async () => (await run(survey, ['--root', root, 'tar', '1000000'], { encoding: 'buffer' })).stdout;
  const bytes = await archive();
  expect((await archive()).equals(bytes)).toBe(true);
  const out = join(folder, 'out');
  await mkdir(out);
  const tar = spawn('tar', ['-xp', '-C', out], { stdio: ['pipe', 'ignore', 'pipe'] });
  const stderr = buffer(tar.stderr);
  tar.stdin.end(bytes);
  await once(tar, 'close');
  expect((await stderr).toString()).toBe('');
  expect((await readdir(out, { recursive: true })).sort()).toEqual((await readdir(root, { recursive: true })).sort());
  await run('diff', ['-r', '--no-dereference', '--exclude=pipe', root, out]);
  await expect(run(survey, ['--root', root, 'tar', '2000'])).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining('more bytes than were asked for'),
  });
});

/** A sequence of numbers below a bound, the same for the same seed. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Some bytes changed, taken out, or put in twice. */
function mutate(seed: Buffer, random: (below: number) => number): Buffer {
  const bytes = Buffer.from(seed);
  for (let change = random(6); change > 0; change--) bytes[random(Math.min(bytes.length, 512))] = random(256);
  const at = random(bytes.length + 1);
  const kind = random(4);
  if (kind === 0) return bytes.subarray(0, at);
  if (kind === 1) return Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.max(0, at - 64))]);
  return bytes;
}
