import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, chmod, cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { REPOSITORY } from '../framework/runtime.ts';

/** nobody */
const UNPRIVILEGED = 65534;
/** In Debian, and needed by nothing. */
const NOT_INSTALLED = 'cowsay';

async function setup(root: string, uid?: number): Promise<{ code: number; stderr: string }> {
  const child = spawn(join(root, 'tools/setup'), [], {
    stdio: ['ignore', 'ignore', 'pipe'],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
  return { code, stderr };
}

test('setup: does and says nothing, when nothing is missing', async () => {
  expect(await setup(REPOSITORY)).toEqual({ code: 0, stderr: '' });
});

test('setup: says exactly what to install, when it is not root', async () => {
  const root = await mkdtemp(join(tmpdir(), 'vmlet-test-'));
  try {
    await cp(join(REPOSITORY, 'tools'), join(root, 'tools'), { recursive: true });
    await appendFile(join(root, 'tools/debian-packages.txt'), `${NOT_INSTALLED}\n`);
    await chmod(root, 0o755);
    const isRoot = process.getuid?.() === 0;
    const { code, stderr } = await setup(root, isRoot ? UNPRIVILEGED : undefined);
    expect(code).toBe(1);
    expect(stderr).toContain(`sudo apt-get install --no-install-recommends ${NOT_INSTALLED}\n`);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});
