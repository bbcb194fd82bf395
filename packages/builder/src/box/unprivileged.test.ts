import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { CommandFailed, run } from '@vmlet/host';
import { expect, test } from 'vitest';

const REPOSITORY = join(import.meta.dirname, '../../../..');
/** Nobody's on this machine, and of no range that is handed out. */
const UID = 54_321;
const FIRST_SUB_ID = 0x75000000;

/** What somebody does who is not root: all that a build asks of a box. */
const SCRIPT = `
import { mkdir, readdir } from 'node:fs/promises';
import { openBox } from '/mnt/repository/packages/builder/src/box/index.ts';
const [home] = process.argv.slice(2);
const told = { uid: process.getuid() };
{
  await using box = await openBox(home + '/boxes', 'mine', { cache: home + '/cache' });
  told.id = await box.run(['id', '-u']);
  await box.run(['sh', '-c', 'mkdir -p a/b && touch a/b/c && chown -R 33:65534 a && chmod 0 a/b']);
  told.owner = await box.run(['stat', '-c', '%u:%g', 'a/b']);
  told.shadow = await box.run(['sh', '-c', 'cat /etc/shadow 2>&1 || true']);
  told.tree = await box.run(['sh', '-c', 'mkdir -p root/bin && cp -L /bin/true root/bin && ls root/bin']);
  told.left = await readdir(home + '/boxes').then((names) => names.length);
}
told.removed = await readdir(home + '/boxes');
console.log(JSON.stringify(told));
`;

/** Runs it as another user, to whom `/etc/subuid` gives ids, or none, in a mount namespace where that file says so. */
async function runAs(uid: number, subIds: string): Promise<string> {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  const at = (name: string) => join(dir.path, name);
  await writeFile(at('subids'), subIds);
  await writeFile(at('passwd'), `root:x:0:0::/root:/bin/sh\nbuilder:x:${uid}:${uid}::/nonexistent:/bin/sh\n`);
  await writeFile(at('script.ts'), SCRIPT, { mode: 0o644 });
  const mounting = `set -e
    for file in subuid subgid; do mount --bind "$1/subids" /etc/$file; done
    mount --bind "$1/passwd" /etc/passwd
    mount -t tmpfs none /mnt
    mkdir -p /mnt/repository /mnt/node /mnt/home
    mount --bind "$2" /mnt/repository
    mount --bind "$3" /mnt/node
    cp "$1/script.ts" /mnt/home/script.mts
    chown -R "$4:$4" /mnt/home
    cd /mnt/home
    exec setpriv --reuid="$4" --regid="$4" --clear-groups -- /mnt/node/node script.mts /mnt/home`;
  const words = [dir.path, REPOSITORY, dirname(process.execPath), String(uid)];
  return await run('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', mounting, 'sh', ...words]);
}

test('openBox: does the same for a user to whom /etc/subuid gives ids, and removes what he may not', async () => {
  const told = JSON.parse(await runAs(UID, `builder:${FIRST_SUB_ID}:65536\n`));
  expect(told).toEqual({
    ...{ uid: UID, id: '0\n', owner: '33:65534\n', tree: 'true\n', left: 1, removed: [] },
    shadow: expect.stringContaining('No such file'),
  });
});

test('openBox: says what to do, where a user has no ids', async () => {
  const failure = await runAs(UID, 'somebody:100000:65536\n').catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(CommandFailed);
  expect(String((failure as CommandFailed).stderr)).toMatch(
    /BoxUnavailable: Cannot open a box to build in: "\/etc\/subuid" gives user "builder" too few ids, expected 65536 \(as root: usermod --add-subuids/,
  );
});
