/** Each official runtime: built by its recipe, what its manifest says of it, and programs that answer from it. */
import { readdirSync } from 'node:fs';
import type { BuiltRuntime } from '@vmlet/builder';
import type { ItemHash } from '@vmlet/messages';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestNode, type TestNode } from '../framework/node.ts';
import { officialPrograms, readFound } from '../framework/official-programs.ts';
import { publishPath } from '../framework/publish.ts';
import { officialRuntime, RUNTIMES } from '../framework/runtime.ts';
import { officialNames } from '../framework/variants.ts';

/** They bring systemd to a login, and run no program: tests/e2e/instances.test.ts. */
const INSTANCES = ['debian-11', 'debian-12', 'ubuntu-22.04'];
/** Those that are published in another filesystem than their recipe's too. */
const IN_OTHER_FILESYSTEMS = ['debian-12-python-ext4', 'debian-11-node-ext4'];
const RECIPES = readdirSync(RUNTIMES, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);
const ALL = [...RECIPES.filter((name) => !INSTANCES.includes(name)), ...IN_OTHER_FILESYSTEMS];

let node: TestNode;
beforeAll(async () => {
  node = await startTestNode();
});
afterAll(async () => node[Symbol.asyncDispose]());

describe.each(officialNames(ALL))('the runtime %s', (name) => {
  let built: BuiltRuntime;
  let runtime: ItemHash;
  beforeAll(async () => {
    built = await officialRuntime(name);
    runtime = await publishPath(node, built.imagePath, built.manifest);
  });

  test('officials: programs of each kind answer, and find what the manifest says', async () => {
    const { manifest } = built;
    expect(manifest.name).toBe(name);
    const interpreters = Object.values(manifest.interpreters).flatMap(({ others = [], ...one }) => [one, ...others]);
    const paths = interpreters.map(({ path }) => path).join(' ');
    for (const { what, files, options } of officialPrograms(manifest.interpreters)) {
      const program = await node.deploy(files, { runtime, ...options });
      const asked = await node.ask(program, '/items/7?a=%C3%A9');
      expect(asked.status, `${what}: ${await node.logOf(program)}`).toBe(200);
      expect(await asked.json(), what).toEqual({ item: 7, query: 'a=%C3%A9', asserts: true });
      const looked = await node.ask(program, `/look?path=${encodeURIComponent(paths)}`);
      const found = readFound(((await looked.json()) as { said: string }).said);
      expect(found, what).toMatchObject({ os: manifest.os, filesystem: manifest.filesystem });
      expect(found.versions).toEqual(
        what === 'a shell' ? {} : Object.fromEntries(interpreters.map(({ path, version }) => [path, version])),
      );
      await node.owner(`/programs/${program}/stop`, 'POST');
    }
  }, 300_000);
});
