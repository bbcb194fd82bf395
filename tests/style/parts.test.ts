import { cp, mkdir, mkdtempDisposable, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { cruise, ROOT } from './cruise.ts';

interface Config {
  forbidden: Array<{ name: string; comment?: string }>;
}

interface Manifest {
  name: string;
  exports: Record<string, string>;
  dependencies?: Record<string, string>;
}

const PARTS = [
  'telemetry',
  'timelines',
  'store',
  'keys',
  'pricing',
  'admission',
  'content',
  'backup',
  'ledger',
  'catalogue',
  'deployments',
  'runtimes',
  'snapshots',
  'machines',
  'starts',
  'guest-api',
];
PARTS.push('executions', 'triggers', 'gateway', 'api', 'owner');
const LEAVES = ['errors', 'deadline', 'version', 'program-label'];

/** What each rule forbids, in one line: `rule: file <- specifier`. */
const FORBIDDEN = `
no-unresolvable: packages/host/src/broken.ts <- ./absent.ts
no-cycles: packages/host/src/circle.ts <- ./circle-back.ts
no-orphans: packages/host/src/lonely.ts <-
packages-by-name: packages/builder/src/path.ts <- ../../host/src/index.ts
shipped-code-stands-alone: packages/host/src/test-helper.ts <- ../../../tests/framework/helper.ts
shipped-code-without-test-support: packages/node/src/content/shipped.ts <- ./compliance.ts
shipped-code-without-test-support: packages/node/src/api/shipped.ts <- ../ledger/testing.ts
declared-root: tests/framework/hoisted.ts <- hoisted
declared-root: bench/hoisted.ts <- hoisted

package-host: packages/host/src/up.ts <- @vmlet/messages
package-messages: packages/messages/src/up.ts <- @vmlet/host
package-guest-protocol: packages/guest-protocol/src/up.ts <- @vmlet/messages
package-builder: packages/builder/src/up.ts <- @vmlet/node
package-guest: packages/guest/kit/up.ts <- @vmlet/guest-protocol
package-node: packages/node/src/store/up.ts <- @vmlet/cli
package-cli: packages/cli/src/up.ts <- @vmlet/guest

declared-host: packages/host/src/undeclared.ts <- zod
declared-messages: packages/messages/src/undeclared.ts <- vitest
declared-guest-protocol: packages/guest-protocol/src/undeclared.ts <- undici
declared-builder: packages/builder/src/undeclared.ts <- @vmlet/messages
declared-guest: packages/guest/kit/undeclared.ts <- undici
declared-node: packages/node/src/store/undeclared.ts <- hoisted
declared-node: packages/node/src/store/dev.ts <- vitest
declared-cli: packages/cli/src/undeclared.ts <- undici

declared-host-tests: packages/host/src/hoisted.test.ts <- hoisted
declared-messages-tests: packages/messages/src/hoisted.test.ts <- hoisted
declared-guest-protocol-tests: packages/guest-protocol/src/hoisted.test.ts <- hoisted
declared-builder-tests: packages/builder/src/hoisted.test.ts <- hoisted
declared-guest-tests: packages/guest/kit/hoisted.test.ts <- hoisted
declared-node-tests: packages/node/src/store/hoisted.test.ts <- hoisted
declared-cli-tests: packages/cli/src/hoisted.test.ts <- hoisted

entry-host: packages/builder/src/inner-host.ts <- ../../host/src/inner.ts
entry-messages: packages/cli/src/inner-messages.ts <- ../../messages/src/inner.ts
entry-guest-protocol: packages/node/src/machines/inner-protocol.ts <- ../../../guest-protocol/src/inner.ts
entry-builder: packages/cli/src/inner-builder.ts <- ../../builder/src/inner.ts
entry-guest: packages/node/src/machines/inner-guest.ts <- ../../../guest/kit/inner.ts
entry-node: packages/cli/src/inner-node.ts <- ../../node/src/content/index.ts
entry-cli: packages/builder/src/inner-cli.ts <- ../../cli/src/inner.ts

pure-messages: packages/messages/src/files.ts <- node:fs
pure-messages: packages/messages/src/sockets.ts <- node:net
pure-messages: packages/messages/src/processes.ts <- node:child_process
pure-guest-protocol: packages/guest-protocol/src/sockets.ts <- node:net

parts-by-index: packages/node/src/ledger/inner.ts <- ../content/inner.ts
parts-by-index-from-outside: packages/node/src/programs.ts <- ./content/inner.ts
parts-by-index-from-outside: tests/framework/inner.ts <- ../../packages/node/src/content/inner.ts
errors-by-errors-ts: packages/node/src/content/catalogue.ts <- ../errors/catalogue.ts
node-leaves: packages/node/src/deadline.ts <- ./store/index.ts
node-leaves: packages/node/src/errors/catalogue.ts <- ../ledger/index.ts
main-is-the-top: packages/node/src/owner/main-user.ts <- ../main.ts
main-is-the-top: packages/node/src/programs.ts <- ./main.ts

node-telemetry: packages/node/src/telemetry/up.ts <- ../store/index.ts
node-timelines: packages/node/src/timelines/up.ts <- ../store/index.ts
node-store: packages/node/src/store/up-part.ts <- ../content/index.ts
node-keys: packages/node/src/keys/up.ts <- ../content/index.ts
node-pricing: packages/node/src/pricing/up.ts <- ../ledger/index.ts
node-admission: packages/node/src/admission/up.ts <- ../ledger/index.ts
node-content: packages/node/src/content/up.ts <- ../ledger/index.ts
node-backup: packages/node/src/backup/up.ts <- ../ledger/index.ts
node-ledger: packages/node/src/ledger/up.ts <- ../runtimes/index.ts
node-catalogue: packages/node/src/catalogue/up.ts <- ../runtimes/index.ts
node-deployments: packages/node/src/deployments/up.ts <- ../ledger/index.ts
node-runtimes: packages/node/src/runtimes/up.ts <- ../machines/index.ts
node-pins: packages/node/src/pins/up.ts <- ../machines/index.ts
node-snapshots: packages/node/src/snapshots/up.ts <- ../machines/index.ts
node-machines: packages/node/src/machines/up.ts <- ../executions/index.ts
node-machines: packages/node/src/machines/files.ts <- ../content/index.ts
node-machines: packages/node/src/machines/secrets.ts <- ../keys/index.ts
node-starts: packages/node/src/starts/up.ts <- ../executions/index.ts
node-guest-api: packages/node/src/guest-api/up.ts <- ../executions/index.ts
node-executions: packages/node/src/executions/up.ts <- ../gateway/index.ts
node-executions: packages/node/src/executions/side.ts <- ../ledger/index.ts
node-checking: packages/node/src/checking/up.ts <- ../gateway/index.ts
node-triggers: packages/node/src/triggers/edge.ts <- ../gateway/index.ts
node-triggers: packages/node/src/triggers/guest.ts <- ../guest-api/index.ts
node-gateway: packages/node/src/gateway/edge.ts <- ../api/index.ts
node-gateway: packages/node/src/gateway/around.ts <- ../machines/index.ts
node-api: packages/node/src/api/edge.ts <- ../gateway/index.ts
node-api: packages/node/src/api/starter.ts <- ../executions/index.ts
node-owner: packages/node/src/owner/edge.ts <- ../api/index.ts
node-owner: packages/node/src/owner/composition.ts <- ../programs.ts
`;

/** Arrows that the rules must leave alone. */
const ALLOWED = `
packages/node/src/store/use.ts <- ../errors.ts
packages/node/src/content/use.ts <- ../store/index.ts
packages/node/src/content/use-leaf.ts <- ../deadline.ts
packages/node/src/ledger/use.ts <- ../content/index.ts
packages/node/src/machines/use.ts <- @vmlet/guest
packages/node/src/executions/use.ts <- ../machines/index.ts
packages/node/src/gateway/use.ts <- ../executions/index.ts
packages/node/src/gateway/use-label.ts <- ../program-label.ts
packages/node/src/owner/use.ts <- ../runtimes/index.ts
packages/node/src/api/use.test.ts <- ../ledger/testing.ts
packages/node/src/api/dev.test.ts <- vitest
packages/node/src/diagnose.ts <- ./machines/index.ts
packages/messages/src/use.ts <- zod
packages/messages/src/make-vectors.ts <- node:fs
packages/cli/src/use.ts <- @vmlet/node
tests/framework/use.ts <- ../../packages/node/src/machines/index.ts
tests/e2e/use.test.ts <- @vmlet/node
tests/style/use.test.ts <- ../../packages/node/src/errors/catalogue.ts
`;

describe('parts', () => {
  test('parts: keep to the rules, in this repository', () => {
    expect(cruise(ROOT).map(({ rule, from, to }) => `${rule}: ${from} <- ${to}`)).toEqual([]);
  });

  test('rules: have a name of their own and say why, all of them', async () => {
    const { forbidden } = await configOf(ROOT);
    const names = forbidden.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(forbidden.filter(({ comment = '' }) => comment.length < 30)).toEqual([]);
    const folders = await readdir(join(ROOT, 'packages/node/src'), { withFileTypes: true });
    const parts = folders.filter((entry) => entry.isDirectory() && entry.name !== 'errors').map(({ name }) => name);
    const packages = await readdir(join(ROOT, 'packages'));
    const wanted = [...parts.map((part) => `node-${part}`), ...packages.map((name) => `package-${name}`)];
    expect(wanted.filter((name) => !names.includes(name))).toEqual([]);
  });

  test('rules: leave arrows alone, where those run down', async () => {
    await using tree = await makeTree();
    await addLines(tree.path, ALLOWED);
    expect(cruise(tree.path)).toEqual([]);
  });

  test('rules: catch what they forbid, each of them', async () => {
    await using tree = await makeTree();
    await add(tree.path, 'packages/host/src/circle-back.ts', './circle.ts');
    const wanted = await addLines(tree.path, FORBIDDEN);
    // A cycle is reported once, at one of its files.
    const found = new Set(cruise(tree.path).flatMap(({ rule, from, to }) => [`${rule}: ${from}`, `${rule}: ${to}`]));
    expect(wanted.filter((line) => !found.has(line))).toEqual([]);
    const tried = new Set(wanted.map((line) => line.split(':')[0]));
    const { forbidden } = await configOf(ROOT);
    expect(forbidden.map(({ name }) => name).filter((name) => !tried.has(name))).toEqual([]);
  });
});

async function configOf(root: string): Promise<Config> {
  const module: { default: Config } = await import(pathToFileURL(join(root, '.dependency-cruiser.js')).href);
  return module.default;
}

/** A repository with our packages, entries and parts in it, each almost empty, and with no arrow that is forbidden. */
async function makeTree(): Promise<AsyncDisposable & { path: string }> {
  const tree = await mkdtempDisposable(join(tmpdir(), 'vmlet-parts-'));
  const root = tree.path;
  for (const name of ['package.json', '.dependency-cruiser.js']) await cp(join(ROOT, name), join(root, name));
  await mkdir(join(root, 'node_modules/@vmlet'), { recursive: true });
  const everything: string[] = [];
  for (const name of await readdir(join(ROOT, 'packages'))) everything.push(...(await makePackage(root, name)));
  for (const name of ['zod', 'undici', 'vitest', 'hoisted']) await makeDependency(root, name);
  const src = 'packages/node/src';
  for (const leaf of LEAVES) await add(root, `${src}/${leaf}.ts`);
  await add(root, `${src}/errors/catalogue.ts`);
  await add(root, `${src}/errors.ts`, './errors/catalogue.ts');
  for (const part of PARTS) {
    await add(root, `${src}/${part}/inner.ts`);
    await add(root, `${src}/${part}/index.ts`, './inner.ts');
  }
  await add(root, `${src}/content/compliance.ts`, './index.ts');
  await add(root, `${src}/ledger/testing.ts`, './index.ts');
  await add(root, `${src}/programs.ts`, './ledger/index.ts');
  const composed = [...PARTS.map((part) => `./${part}/index.ts`), ...LEAVES.map((leaf) => `./${leaf}.ts`)];
  await add(root, `${src}/main.ts`, './inner.ts', './programs.ts', ...composed);
  await add(root, 'tests/framework/helper.ts', ...everything);
  await add(root, 'bench/main.ts', '../tests/framework/helper.ts');
  return { path: root, [Symbol.asyncDispose]: () => tree.remove() };
}

/** @returns the specifiers of its entries */
async function makePackage(root: string, name: string): Promise<string[]> {
  const manifest: Manifest = JSON.parse(await readFile(join(ROOT, 'packages', name, 'package.json'), 'utf8'));
  await mkdir(join(root, 'packages', name), { recursive: true });
  await cp(join(ROOT, 'packages', name, 'package.json'), join(root, 'packages', name, 'package.json'));
  await symlink(`../../packages/${name}`, join(root, 'node_modules', manifest.name));
  for (const path of Object.values(manifest.exports)) await add(root, join('packages', name, path), './inner.ts');
  for (const path of Object.values(manifest.exports))
    await add(root, join('packages', name, dirname(path), 'inner.ts'));
  return Object.keys(manifest.exports).map((key) => join(manifest.name, key));
}

async function makeDependency(root: string, name: string): Promise<void> {
  const manifest = { name, version: '1.0.0', type: 'module', exports: './index.js' };
  await mkdir(join(root, 'node_modules', name));
  await writeFile(join(root, 'node_modules', name, 'package.json'), JSON.stringify(manifest));
  await writeFile(join(root, 'node_modules', name, 'index.js'), 'export const x = 1;\n');
}

/** Adds what each line says, on top of what the file imports already. @returns `rule: file` of each line */
async function addLines(root: string, lines: string): Promise<string[]> {
  const wanted: string[] = [];
  for (const line of lines.split('\n').filter((text) => text !== '')) {
    const [head = '', specifier = ''] = line.split('<-').map((text) => text.trim());
    const path = head.split(': ').at(-1) ?? '';
    const before = await readFile(join(root, path), 'utf8').catch(() => '');
    await add(root, path, ...[...before.matchAll(/'(.+)'/g)].map((match) => match[1] ?? ''), specifier);
    wanted.push(head);
    // An importer, or it would be an orphan as well.
    if (specifier !== '' && !path.includes('.test.'))
      await add(root, path.replace(/\.ts$/, '-user.ts'), `./${path.split('/').at(-1)}`);
  }
  return wanted;
}

async function add(root: string, path: string, ...specifiers: string[]): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  const imports = specifiers.filter((specifier) => specifier !== '').map((specifier) => `import '${specifier}';\n`);
  await writeFile(join(root, path), `${imports.join('')}export const x = 1;\n`);
}
