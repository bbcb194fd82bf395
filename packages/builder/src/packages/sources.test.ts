import { mkdir, mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommandFailed, resolvePaths } from '@vmlet/host';
import { expect, test } from 'vitest';
import { openBox } from '../box/index.ts';
import { RecipeError } from '../recipe.ts';
import { sourcesOf } from './sources.ts';

/** A mirror on disk that has the suites named, and a file of sources that the machine is set up with. */
async function setUp(name: string, text: (mirror: string) => string, suites: readonly string[]) {
  const dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  const mirror = `file:${dir.path}/mirror`;
  for (const suite of suites) {
    await mkdir(join(dir.path, 'mirror/dists', suite), { recursive: true });
    await writeFile(join(dir.path, 'mirror/dists', suite, 'InRelease'), 'signed\n');
  }
  await writeFile(join(dir.path, name), text(mirror));
  const box = await openBox(join(dir.path, 'boxes'), 'sources', resolvePaths());
  const machineSources = [join(dir.path, 'absent'), join(dir.path, name)];
  return {
    mirror,
    options: { box, env: {}, machineSources, machineSuite: 'bookworm' },
    async [Symbol.asyncDispose]() {
      await box[Symbol.asyncDispose]();
      await dir.remove();
    },
  };
}

const DEB822 = (mirror: string) => `# the machine's own
Types: deb
# a comment
URIs: ${mirror}
Suites: bookworm
 bookworm-updates bookworm-backports
Components: main
Signed-By: /usr/share/keyrings/some.gpg

Types: deb
URIs: ${mirror}
Suites: bookworm-security
Components: main

Types: deb
URIs: ${mirror}
Suites: nodistro
Components: main
`;

test('sourcesOf: takes mirrors and keys over to another suite, with those of its pockets that there are', async () => {
  await using it = await setUp('debian.sources', DEB822, ['bullseye', 'bullseye-updates']);
  expect(await sourcesOf('bullseye', it.options)).toEqual({
    extension: 'sources',
    text: [
      'Types: deb',
      `URIs: ${it.mirror}`,
      'Suites: bullseye bullseye-updates',
      'Components: main',
      'Signed-By: /usr/share/keyrings/some.gpg',
      '',
      '',
    ].join('\n'),
  });
});

test('sourcesOf: does the same with one-line sources', async () => {
  const lines = (mirror: string) =>
    `deb [signed-by=/k.gpg] ${mirror} stable main\n# deb ${mirror} bookworm main\ndeb ${mirror} bookworm-security main contrib\n`;
  await using it = await setUp('sources.list', lines, ['bullseye-security']);
  expect(await sourcesOf('bullseye', it.options)).toEqual({
    extension: 'list',
    text: `deb [signed-by=/k.gpg] ${it.mirror} bullseye main\ndeb ${it.mirror} bullseye-security main contrib\n`,
  });
});

test('sourcesOf: leaves the machine’s own suite as it is, and is nothing where there are no sources', async () => {
  await using it = await setUp('debian.sources', DEB822, []);
  expect(await sourcesOf('bookworm', it.options)).toMatchObject({ text: DEB822(it.mirror) });
  expect(await sourcesOf('bullseye', { ...it.options, machineSources: [] })).toBeUndefined();
});

test('sourcesOf: fails when the mirrors cannot be asked, or have nothing of Debian’s', async () => {
  await using closed = await setUp('debian.sources', () => DEB822('none://mirror'), []);
  await expect(sourcesOf('bullseye', closed.options)).rejects.toBeInstanceOf(CommandFailed);
  await using foreign = await setUp('sources.list', (mirror) => `deb ${mirror} jammy main\n`, []);
  await expect(sourcesOf('bullseye', foreign.options)).rejects.toBeInstanceOf(RecipeError);
});
