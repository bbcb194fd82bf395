import { chmod, copyFile, mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { resolvePaths, run } from '@vmlet/host';
import { expect, test } from 'vitest';
import { cageCommand } from './command.ts';
import { ensureHelper } from './helper.ts';
import { findHostFiles } from './host-files.ts';
import { descriptorsOf, startProcess } from './process.ts';
import { seccompProgram } from './seccomp.ts';

const UID = 2_147_483_600;
const ATTACKER = join(import.meta.dirname, '../../../../../tests/security/attacker.c');
const never = new AbortController().signal;

test('cage: shuts in what an ordinary user runs, by a namespace of users', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  for (const folder of [dir.path, tmpdir()]) await chmod(folder, 0o755);
  // An ordinary user has its cache in a folder that it may read.
  const helper = join(dir.path, 'vmlet-cage');
  await copyFile(await ensureHelper(resolvePaths().cache, never), helper);
  const attacker = join(dir.path, 'attacker');
  await run('gcc', ['-static', '-o', attacker, ATTACKER]);
  const shape = {
    ...{ helper, host: await findHostFiles(never), parent: process.pid },
    ...{ namespaces: true, cgroupEntries: [], dataBytes: 2 ** 30, processes: 128, openFiles: 256, writtenBytes: 0 },
    files: new Map([['/machine/0', attacker]]),
    writable: new Map(),
    devices: new Map(),
    descriptors: descriptorsOf({ sockets: 1, files: [] }),
  };
  const command = cageCommand(shape, ['/machine/0', 'attack', '1', 'name', '/etc/passwd', dir.path]);
  const user = process.getuid?.() === 0 ? ['setpriv', '--reuid', `${UID}`, '--regid', `${UID}`, '--clear-groups'] : [];
  const started = await startProcess([...user, ...command], {
    ...{ sockets: 1, files: [], env: { PATH: process.env.PATH } },
    filter: seccompProgram({ internet: false }),
  });
  const said = (await text(started.sockets[0] ?? Readable.from([]))).split('\n');
  expect((await started.exited).code).toBe(0);
  const attempts = ['capabilities 0', 'bounding 0', 'no_new_privs 1', 'pid 1', 'processes 1', 'unshare_user 1'];
  const files = ['read:/etc/passwd 2', `read:${dir.path} 2`, 'create:/ 30', 'mkdir:/machine 30', 'setuid 22'];
  for (const line of [...attempts, ...files, 'socket_inet 97', 'memfd_write 27', 'end ok'])
    expect(said).toContain(line);
});
