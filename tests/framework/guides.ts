import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { resolvePaths } from '@vmlet/host';
import type { TestNode } from './node.ts';
import { REPOSITORY } from './runtime.ts';

/** What came of a page. */
export interface Followed {
  stdout: string;
  stderr: string;
}

/**
 * Does what the `sh` blocks of a page say, in one shell, in an empty folder, against a node. Builds are kept in the cache that
 * tests share.
 * @throws Error with what was printed, for the first command that fails
 */
export async function followGuide(page: string, node: TestNode): Promise<Followed> {
  const blocks = [...page.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, lines]) => lines);
  await using folder = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  const env = {
    ...process.env,
    PATH: [join(REPOSITORY, 'packages/cli/bin'), dirname(process.execPath), process.env.PATH].join(delimiter),
    VMLET_HOME: node.home,
    VMLET_CONFIG: join(dirname(node.home), 'config'),
    VMLET_CACHE: resolvePaths().cache,
  };
  const shell = spawn('sh', ['-euxc', blocks.join('\n')], { cwd: folder.path, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr, [code]] = await Promise.all([text(shell.stdout), text(shell.stderr), once(shell, 'exit')]);
  if (code !== 0) throw new Error(`Cannot follow the page: exit code ${code}, expected 0\n${stdout}\n${stderr}`);
  return { stdout, stderr };
}
