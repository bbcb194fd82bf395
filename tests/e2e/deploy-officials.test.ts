/** `vmlet deploy` to each official runtime, with a package that is installed inside it. */
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { resolvePaths, run } from '@vmlet/host';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCli, temporaryFolder } from '../../packages/cli/src/testing.ts';
import { wheel } from '../framework/install.ts';
import { startTestNode, type TestNode } from '../framework/node.ts';
import { others } from '../framework/variants.ts';

/** What each language says of itself and of the package. */
const FILES = {
  python: {
    'requirements.txt': './tiny-1.0-py3-none-any.whl\n',
    'main.py': `
import sys, tiny
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": ("%d.%d %s" % (*sys.version_info[:2], tiny.ANSWER)).encode()})
`,
  },
  node: {
    'package.json': '{"name":"program","version":"1.0.0","dependencies":{"tiny":"file:tiny.tgz"}}',
    'index.js': `
const answer = require('tiny');
module.exports = (request, response) => response.end(process.versions.node.split('.')[0] + ' ' + answer);
`,
  },
  shell: {
    'run.sh': '#!/bin/sh\nmkdir /tmp/www\necho none 42 > /tmp/www/index.html\nexec httpd -f -p "$PORT" -h /tmp/www\n',
  },
} as const;

const CASES = [
  { runtime: 'minimal', language: 'shell', expected: 'none 42\n' },
  ...others([
    { runtime: 'debian-12-python', language: 'python', expected: '3.11 42' },
    { runtime: 'debian-11-python-node', language: 'python', expected: '3.9 42' },
    { runtime: 'debian-11-python-node', language: 'node', expected: '14 42' },
    { runtime: 'debian-11-node', language: 'node', expected: '24 42' },
    { runtime: 'debian-13-python', language: 'python', expected: '3.13 42' },
    { runtime: 'debian-13-python', language: 'node', expected: '24 42' },
  ] as const),
] as const;

let node: TestNode;
beforeAll(async () => {
  node = await startTestNode();
});
afterAll(async () => node[Symbol.asyncDispose]());

/** Writes the package that a program wants: as pip takes one, and as npm does. */
async function writePackage(folder: string, language: keyof typeof FILES): Promise<void> {
  if (language === 'python') await writeFile(join(folder, 'tiny-1.0-py3-none-any.whl'), wheel());
  if (language !== 'node') return;
  await using made = await temporaryFolder({
    'package/package.json': '{"name":"tiny","version":"1.0.0","main":"index.js"}',
    'package/index.js': 'module.exports = 42;',
  });
  await run('tar', ['-czf', join(folder, 'tiny.tgz'), '-C', made.path, 'package']);
}

test.each(CASES)(
  'vmlet deploy: brings a program of $language and what it needs to $runtime',
  async ({ runtime, language, expected }) => {
    await using program = await temporaryFolder(FILES[language]);
    await writePackage(program.path, language);
    const env = {
      VMLET_HOME: node.home,
      VMLET_CONFIG: join(dirname(node.home), 'config'),
      VMLET_CACHE: resolvePaths().cache,
    };
    const name = `${runtime}-${language}`;
    const deployed = await runCli(['deploy', program.path, '--name', name, '--runtime', runtime], { env });
    expect(deployed.exitCode, deployed.stderr).toBe(0);
    expect((await runCli(['invoke', name, '/'], { env })).stdout).toBe(expected);
  },
  300_000,
);
