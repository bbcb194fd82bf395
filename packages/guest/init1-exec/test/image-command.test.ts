import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const SOURCE = join(import.meta.dirname, '../image-command.c');
const FLAGS = ['-std=c11', '-Wall', '-Wextra', '-Werror', '-pedantic'];
const SANITIZERS = ['-O1', '-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'];
const PASSWD = [
  ...['root:x:0:0:root:/root:/bin/sh', 'web:x:1234:50:Web:/home/web:/bin/sh', 'broken', 'odd:x:none:none::/:'],
  'homeless:x:1300:1300',
];
const GROUP = ['root:x:0:', 'staff:x:50:', 'extra:x:77:other,web', 'near:x:78:webmaster', 'dev:x:79:web'];

/** Becoming somebody else is root's business, as it is in a machine. */
const OTHERS: [string, string[]][] = [
  ['web', ['1234', '50', '50 77 79', '/', '/home/web']],
  ['1234', ['1234', '50', '50 77 79', '/', '/home/web']],
  ['web:extra', ['1234', '77', '77', '/', '/home/web']],
  ['web:99', ['1234', '99', '99', '/', '/home/web']],
  ['4321', ['4321', '0', '0', '/', '/']],
  ['4321:4322', ['4321', '4322', '4322', '/', '/']],
  ['homeless', ['1300', '1300', '1300', '/', '/']],
  [':staff', ['0', '50', '50', '/', '/root']],
];

/** What a command of an image is, and where: as `sh` tells it. */
const TELL = 'id -u; id -g; id -G; pwd; echo "$HOME"';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'image-command-'));
  chmodSync(folder, 0o755);
  for (const [name, flags] of Object.entries({ plain: ['-O2', '-static'], sanitized: SANITIZERS })) {
    const { status, stderr } = spawnSync('gcc', [...FLAGS, ...flags, '-o', join(folder, name), SOURCE]);
    if (status !== 0) throw new Error(stderr.toString());
  }
  writeFileSync(join(folder, 'passwd'), `${PASSWD.join('\n')}\n`);
  writeFileSync(join(folder, 'group'), GROUP.join('\n'));
  mkdirSync(join(folder, 'bin'));
  writeFileSync(join(folder, 'bin/tell'), `#!/bin/sh\n${TELL}\n`, { mode: 0o755 });
  writeFileSync(join(folder, 'bin/plain'), 'text', { mode: 0o644 });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const IS_ROOT = process.getuid?.() === 0;
/** Whose root may bind files over others: without root that of a namespace, which has no user but itself. */
const OWN_WORLD = ['--mount', '--net', ...(IS_ROOT ? [] : ['--user', '--map-root-user'])];

/** Runs it where `/etc` has those two files; where it prints to a pipe, as in a machine, its exit code is not told. */
function start(build: string, args: readonly string[], env: Record<string, string> = {}) {
  const bound = ['passwd', 'group'].map((name) => `mount --bind ${folder}/${name} /etc/${name}`).join(' && ');
  const script = env.PIPED ? `${bound} && "$@" | cat` : `${bound} && exec "$@"`;
  const { status, stdout, stderr } = spawnSync(
    'unshare',
    [...OWN_WORLD, 'sh', '-c', script, 'sh', join(folder, build), ...args],
    { env: { PATH: `${folder}/bin:/usr/bin:/bin`, HOME: '/root', ASAN_OPTIONS: 'detect_leaks=0', ...env } },
  );
  return { status, lines: stdout.toString().trim().split('\n'), said: stderr.toString() };
}

describe.each(['plain', 'sanitized'])('image-command, %s', (build) => {
  test.each([['', ['0', '0', '0', '/', '/root']], ['root', ['0', '0', '0', '/', '/root']], ...(IS_ROOT ? OTHERS : [])])(
    'image-command: becomes the user "%s"',
    (user, expected) => {
      const { status, lines } = start(build, ['/', user, 'tell']);
      expect([status, lines]).toEqual([0, expected]);
    },
  );

  test('image-command: makes and enters its folder, and keeps a HOME that the image names', () => {
    const { lines } = start(build, [`${folder}/made/${build}/deep`, '', 'tell'], { HOME: '/mine' });
    expect(lines.slice(3)).toEqual([`${folder}/made/${build}/deep`, '/mine']);
    expect(start(build, [`${folder.slice(1)}`, '', 'tell']).lines[3]).toBe(folder);
  });

  test('image-command: lets its user listen on any port, and open what it prints to', () => {
    const script = 'cat /proc/sys/net/ipv4/ip_unprivileged_port_start; echo opened > /dev/stdout';
    expect(start(build, ['/', IS_ROOT ? 'web' : '', 'sh', '-c', script], { PIPED: '1' }).lines).toEqual([
      '0',
      'opened',
    ]);
  });

  test.each([
    [['/', '', 'nowhere'], 127, /Cannot run "nowhere" of the image: no such program.* on PATH "/],
    [['/', '', '/bin/nowhere'], 127, /Cannot run "\/bin\/nowhere" of the image/],
    [['/', '', 'plain'], 126, /Cannot run "plain" of the image: Permission denied/],
    [['/', 'nobody-such', 'tell'], 126, /Cannot become the user "nobody-such": no such name in "\/etc\/passwd"/],
    [['/', 'odd', 'tell'], 126, /Cannot become the user "odd"/],
    [['/', 'web:no-such', 'tell'], 126, /Cannot become the group "no-such"/],
    [['/', '4294967295', 'tell'], 126, /Cannot become the user "4294967295"/],
    [['/proc/none', '', 'tell'], 126, /Cannot enter the folder "\/proc\/none"/],
    [['/', ''], 126, /2 words, expected a folder, a user and a command/],
  ] as const)('image-command: says what is wrong with %j', (args, status, words) => {
    const ended = start(build, args);
    expect(ended.status).toBe(status);
    expect(ended.said).toMatch(words);
    expect(ended.said).toMatch(/^vmlet: Cannot [^\n]*\n$/);
  });
});
