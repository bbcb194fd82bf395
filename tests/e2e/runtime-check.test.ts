import { execFile } from 'node:child_process';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { resolvePaths } from '@vmlet/host';
import { checkImage, describeForeignImage, type RuntimeReport, streamTree } from '@vmlet/node/images';
import { beforeAll, describe, expect, test } from 'vitest';
import { makeExt4, makeTree, type Tree } from '../framework/images.ts';
import { officialRuntime, REPOSITORY } from '../framework/runtime.ts';

const { cache } = resolvePaths();
const KEY = '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n-----END OPENSSH PRIVATE KEY-----\n';
/** A name that would end a record, begin another, and clear a terminal, if anybody let it. */
const HOSTILE = 'evil"}\n{"kind":"end","records":0}\n\u001b[2J\u0007';
/** Of root, in the image. */
const HOME = '/root';
const MAIN = 'int main(void) { return 0; }';

/** Everything that an image can do wrong, and still boot. */
const BAD: Tree = {
  'etc/os-release': { link: 'os-release' },
  'etc/machine-id': '0123456789abcdef0123456789abcdef\n',
  'etc/shadow': `root::19000:0:99999:7:::\nsomebody:$6$salt$hash:19000::::::\n${HOSTILE.replaceAll('\n', '')}::\n`,
  'etc/nsswitch.conf': 'passwd: files\nhosts: files mdns4_minimal # and no dns\n',
  'etc/modules': '# comment\nnbd max_part=8\n',
  'etc/ssh/ssh_host_ed25519_key': { text: KEY, mode: 0o600 },
  'root/.ssh/id_rsa': { text: KEY.replace('OPENSSH', 'RSA'), mode: 0o600 },
  'root/.npmrc': '//registry.example/:_authToken=npm_secret\n',
  'app/.env': 'DATABASE_PASSWORD=hunter2\n',
  'app/.env.example': 'DATABASE_PASSWORD=\n',
  'usr/lib/tests/key.pem': KEY,
  'usr/bin/python3': { source: MAIN, flags: ['-Wl,--dynamic-linker=/lib/nowhere/ld-none.so.1'] },
  'usr/bin/libmissing.so': { source: 'int missing(void) { return 1; }', flags: ['-shared', '-fPIC'] },
  'usr/bin/perl': { source: 'int missing(void); int main(void) { return missing(); }', flags: ['-L.', '-lmissing'] },
  'usr/bin/node': {
    source:
      '#include <stdio.h>\nint main(void) { printf("\\033[31mno \\"node\\" here\\n{\\"kind\\":\\"end\\"}"); return 3; }',
  },
  'usr/bin/ruby': { source: '#include <stdio.h>\nint main(void) { puts("ruby 3.3.1 (hostile)"); return 0; }' },
  'usr/sbin/rootme': { source: MAIN, mode: 0o6755 },
  'usr/sbin/open': { text: 'x', mode: 0o666 },
  'srv/giant': { sparseBytes: 1024 ** 4 },
  [`srv/${HOSTILE}`]: 'x',
  [Array.from({ length: 140 }, () => 'd').join('/')]: 'too deep',
  'var/lib/dpkg/status': `Package: fine\nStatus: install ok installed\nVersion: 1.2-3\nInstalled-Size: 99999999999999999999\n\nPackage: ${'x'.repeat(9000)}\nStatus: install ok installed\nVersion: 1\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n\nVersion: 7\n`,
  'var/tmp': { link: '/nowhere/at/all' },
};

function findingsOf({ groups }: RuntimeReport): Record<string, { status: string; text: string; fix?: string }> {
  return Object.fromEntries(groups.flatMap(({ checks }) => checks.map((check) => [check.code, check])));
}

describe('runtime check', () => {
  let bad: RuntimeReport;
  let dir: Awaited<ReturnType<typeof mkdtempDisposable>>;
  beforeAll(async () => {
    dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
    await makeTree(join(dir.path, 'tree'), BAD);
    // The loader of this host, for the program that lacks libraries.
    const loader = '/lib64/ld-linux-x86-64.so.2';
    await promisify(execFile)('install', ['-D', loader, join(dir.path, 'tree', loader)]);
    await promisify(execFile)('rm', [join(dir.path, 'tree/usr/bin/libmissing.so')]);
    const image = await makeExt4(join(dir.path, 'tree'), join(dir.path, 'bad.ext4'));
    bad = await checkImage(image, { cache });
    return async () => await dir[Symbol.asyncDispose]();
  });

  test('check: finds what is wrong with a bad image, and says what to do', () => {
    const found = findingsOf(bad);
    expect(found).toMatchObject({
      FILESYSTEM: { status: 'ok', text: expect.stringMatching(/^ext4, \d+ % of it free$/) },
      SIZE: { status: 'error', text: expect.stringContaining('1 are too deep') },
      OS: { status: 'warning', text: '/etc/os-release cannot be read: ELOOP' },
      TLS_ROOTS: { status: 'error', text: 'none, and ruby need them for HTTPS' },
      DNS: { status: 'error', text: 'nsswitch.conf has "hosts: files mdns4_minimal", without dns' },
      KERNEL: { status: 'ok', text: expect.stringContaining('asks for the modules nbd') },
      INTERPRETER_PYTHON: { status: 'error', text: expect.stringContaining('/lib/nowhere/ld-none.so.1, which is not') },
      INTERPRETER_PERL: { status: 'error', text: expect.stringContaining('lacks libmissing.so, libc.so.6') },
      INTERPRETER_NODE: { status: 'error', text: expect.stringContaining('does not run: exit status 3') },
      INTERPRETER_RUBY: { status: 'ok', text: expect.stringMatching(/^3\.3\.1 \(\/usr\/bin\/ruby\), static/) },
      WRITABLE: { status: 'error', text: '/var/tmp: ENOENT' },
      SUID: { status: 'warning', text: '/usr/sbin/rootme (setuid, owner 0)' },
      WORLD_WRITABLE: { status: 'warning', text: '/usr/sbin/open' },
      LARGE_FILES: { status: 'warning', text: expect.stringMatching(/^\/srv\/giant \(1048576\.0 MiB\)$/) },
      MACHINE_ID: { status: 'warning' },
      ACCOUNTS: { status: 'error', text: 'none is asked of root' },
      CLOCK: { status: 'ok' },
      ENTROPY: { status: 'ok' },
      BOOT: { status: 'ok' },
    });
    for (const { status, fix } of Object.values(found)) if (status !== 'ok') expect(fix).toMatch(/\S/);
    expect(bad.summary.errors).toBeGreaterThan(7);
  });

  test('check: names each key and secret, and not what is a template', () => {
    const { text: words, status } = findingsOf(bad).SECRETS ?? { text: '', status: '' };
    expect(status).toBe('error');
    expect(words.split(', ').sort()).toEqual([
      '/app/.env (variables of a program)',
      '/etc/ssh/ssh_host_ed25519_key (a private key)',
      `${HOME}/.npmrc (a token of an npm registry)`,
      `${HOME}/.ssh/id_rsa (a private key)`,
    ]);
    // What opens it is told to nobody, not even in the report.
    expect(JSON.stringify(bad)).not.toMatch(/hunter2|npm_secret|\$6\$salt/);
  });

  test('check: shows hostile names as text, whatever they hold', () => {
    const { text: words, status } = findingsOf(bad).ODD_NAMES ?? {};
    expect(status).toBe('warning');
    expect(words).toContain('/srv/evil\\"}\\n{\\"kind\\":\\"end\\",\\"records\\":0}\\n\\u001b[2J\\u0007');
    expect(bad.facts?.packages).toEqual([
      { manager: 'dpkg', name: 'fine', version: '1.2-3', architecture: '', bytes: 0 },
      { manager: 'dpkg', name: 'x'.repeat(4096), version: '1', architecture: '', bytes: 0 },
    ]);
    expect(bad.reference).toEqual({ os: null, python: null, docker: null, node: null, rust: null, go: null });
  });

  test('check: an image that is none is a finding, with the words of init0', async () => {
    const report = await checkImage(join(REPOSITORY, 'package-lock.json'), { cache });
    expect(findingsOf(report)).toMatchObject({
      BOOT: { status: 'error', text: expect.stringMatching(/MOUNT_FAILED[\s\S]*expected erofs, squashfs/) },
    });
    expect(report.summary).toMatchObject({ ok: 0, errors: 1 });
  });

  test('describe: tells the system, interpreters and packages of an image that nobody knows', async () => {
    const { imagePath, manifest } = await officialRuntime();
    const facts = await describeForeignImage(imagePath, { cache });
    expect(facts).toMatchObject({
      os: manifest.os,
      osId: 'debian',
      osVersion: '12',
      libc: { name: 'glibc', version: '2.36' },
    });
    expect(facts.interpreters.python).toEqual(manifest.interpreters.python);
    expect(facts.packages.find(({ name }) => name === 'python3')).toMatchObject({
      manager: 'dpkg',
      version: '3.11.2-1+b1',
    });
  });

  test('extends: a recipe builds on an image by its hash, whose files a machine of it reads', async () => {
    const { manifest } = await officialRuntime('minimal');
    const recipe = `format: 1\nname: mine\nversion: "1"\nextends: ${manifest.fileHash}\nfiles:\n  - { path: /etc/mine, content: hello }\nfilesystem: { format: erofs, maxSizeMiB: 64 }\n`;
    await makeTree(join(dir.path, 'mine'), { 'recipe.yaml': recipe });
    const built = await vmlet('build', [join(dir.path, 'mine'), '--json']);
    expect(built, built.stderr).toMatchObject({ code: 0 });
    const { image, manifest: made } = JSON.parse(built.stdout);
    expect(made).toMatchObject({ name: 'mine', os: manifest.os });
    const names: string[] = [];
    for await (const chunk of streamTree(image, { cache }))
      names.push(...(String(chunk).match(/(etc\/mine|bin\/busybox)/g) ?? []));
    expect(new Set(names)).toEqual(new Set(['bin/busybox', 'etc/mine']));
  });

  test('vmlet runtime check: reports like a test-suite, and ends as a CI needs it', async () => {
    const good = await vmlet('check', ['debian-12-python', '--strict', '--json']);
    expect(good, good.stdout + good.stderr).toMatchObject({ code: 0 });
    const report = JSON.parse(good.stdout);
    expect(report).toMatchObject({
      runtime: 'debian-12-python',
      summary: { warnings: 0, errors: 0 },
      reference: { os: 'Debian GNU/Linux 12 (bookworm)', python: '3.11.2', node: null },
    });
    expect(findingsOf(report)).toMatchObject({
      PROGRAM_PYTHON: {
        text: expect.stringMatching(/^answers after \d+ ms: kernel and init \d+ ms, launcher \d+ ms,/),
      },
      CODE_READ_ONLY: { status: 'ok' },
      TLS_ROOTS: { status: 'ok' },
      PACKAGES: { text: expect.stringMatching(/^\d+, the largest: (\S+ [\d.]+ MiB(, |$)){10}/) },
    });
    const wrong = await vmlet('check', [join(REPOSITORY, 'package-lock.json')]);
    expect(wrong.code).toBe(7);
    expect(wrong.stdout).toMatch(
      /^Start\n {2}✗ Boot {2}Cannot boot the machine: .*\n[\s\S]*\n {6}next: .*\n\n0 passed, 0 warnings, 1 error in [\d.]+ s\n$/,
    );
    expect(wrong.stderr).toMatch(
      /error: Cannot vouch for the runtime ".*": 1 error and 0 warnings, expected no errors\n {2}next: /,
    );
    expect(await vmlet('check', ['no-such-runtime'])).toMatchObject({ code: 6, stdout: '' });
  });
});

/** Runs `vmlet runtime` in a process of its own, where no node runs. */
async function vmlet(
  verb: 'build' | 'check',
  args: readonly string[],
): Promise<{ code: unknown; stdout: string; stderr: string }> {
  const env = { ...process.env, VMLET_HOME: '/nonexistent', NO_COLOR: '1' };
  const command = join(REPOSITORY, 'packages/cli/bin/vmlet');
  return await promisify(execFile)(command, ['runtime', verb, ...args], { env }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
  );
}
