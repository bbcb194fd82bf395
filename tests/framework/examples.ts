import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, delimiter, dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { resolvePaths } from '@vmlet/host';
import type { ItemHash } from '@vmlet/messages';
import { itemHashSchema } from '@vmlet/messages/schema';
import type { TestNode } from './node.ts';
import { REPOSITORY } from './runtime.ts';

/** The examples in a folder of their own, where dependencies and executables may be made. */
export interface Examples extends AsyncDisposable {
  /**
   * Does what an example's README says, line by line, and compares what it shows with what came of it.
   */
  follow(name: string): Promise<Followed>;
}

/** A program that an example's README has deployed. */
export interface Followed {
  /** Without a slash at its end. */
  url: string;
  program: ItemHash;
}

/** Copies the examples; `vmlet` in their READMEs talks to the node. */
export async function copyExamples(node: TestNode): Promise<Examples> {
  const folder = await mkdtemp(join(tmpdir(), 'vmlet-test-'));
  await cp(join(REPOSITORY, 'examples'), join(folder, 'examples'), {
    recursive: true,
    filter: (path) => basename(path) !== 'node_modules',
  });
  return {
    follow: (name) => follow(name, { node, folder }),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

/** What `fetch` takes to send JSON. */
export const json = (body: unknown) => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
});

async function follow(name: string, { node, folder }: { node: TestNode; folder: string }): Promise<Followed> {
  const { script, shown } = readmeOf(await readFile(join(folder, 'examples', name, 'README.md'), 'utf8'));
  const env = {
    ...process.env,
    PATH: [join(REPOSITORY, 'packages/cli/bin'), dirname(process.execPath), process.env.PATH].join(delimiter),
    VMLET_HOME: node.home,
    VMLET_CONFIG: join(dirname(node.home), 'config'),
    VMLET_CACHE: resolvePaths().cache,
  };
  const shell = spawn('sh', ['-euc', script], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr, [code]] = await Promise.all([text(shell.stdout), text(shell.stderr), once(shell, 'exit')]);
  if (code !== 0) throw new Error(`Cannot follow the README of "${name}": exit code ${code}\n${stdout}\n${stderr}`);
  const missing = firstMissing(shown, stdout.split('\n'));
  if (missing !== undefined) throw new Error(`The README of "${name}" shows "${missing}", and there was\n${stdout}`);
  // As `deploy` prints it: the URL, perhaps the one on a host name of its own, and the item_hash.
  const deployed = /^(http:\/\/\S+)\/\n(?:http:\/\/\S+\n)*([0-9a-f]{64})$/m.exec(stdout);
  if (!deployed) throw new Error(`The README of "${name}" deploys nothing: "${stdout}"`);
  return { url: deployed[1] ?? '', program: itemHashSchema.parse(deployed[2]) };
}

/** The lines that a reader copies, and the lines that the page says are printed then. */
export function readmeOf(page: string): { script: string; shown: string[] } {
  const blocks = [...page.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, kind, lines = '']) => ({ kind, lines }));
  const script = blocks.filter(({ kind }) => kind === 'sh').map(({ lines }) => lines);
  const shown = blocks.filter(({ kind }) => kind === '').flatMap(({ lines }) => lines.split('\n'));
  // An empty line after each command: not every answer ends its last line.
  return {
    script: script.join('').replaceAll('\n', '\necho\n'),
    shown: shown.filter((line) => line !== '' && line !== '...'),
  };
}

/** The first line that does not come after those before it; numbers, such as times, may be others. */
export function firstMissing(expected: readonly string[], printed: readonly string[]): string | undefined {
  const withoutNumbers = (line: string) => line.replace(/\d+/g, '0').trimEnd();
  const rest = printed.map(withoutNumbers);
  return expected.find((line) => {
    const place = rest.indexOf(withoutNumbers(line));
    rest.splice(0, place + 1);
    return place < 0;
  });
}
