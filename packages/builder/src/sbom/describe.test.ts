import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resolvePaths } from '@vmlet/host';
import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';
import { expect, test } from 'vitest';
import { type Box, openBox } from '../box/index.ts';
import { describeTree, factsOf, spdxDocument, spdxText } from './index.ts';
import { SPDX_SCHEMA } from './testing.ts';

const { cache } = resolvePaths();
const FILE_HASH = 'a'.repeat(64);
const IMAGE = {
  ...{ name: 'mine', version: '2', filesystem: 'erofs', fileHash: FILE_HASH, epochSeconds: 1_700_000_000 },
  builder: 'vmlet-3',
  sha256Of: ({ name }: { name: string }) => (name === 'libfoo++1' ? 'b'.repeat(64) : undefined),
  sha512Of: ({ name }: { name: string }) => (name === '@scope/tool' ? 'c'.repeat(128) : undefined),
};

async function inBox<T>(use: (box: Box) => Promise<T>): Promise<T> {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  await using box = await openBox(join(dir.path, 'boxes'), 'test', { cache });
  return await use(box);
}

const ajv = new Ajv({ allErrors: true });
addFormats.default(ajv);
const validate = ajv.compile(SPDX_SCHEMA);

/** What dpkg has: two packages that are there, one that was removed, and one with its documents behind links. */
const DEBIAN = `
mkdir -p root/var/lib/dpkg root/usr/lib root/etc root/usr/share/doc/libfoo1 root/usr/share/doc/real root/usr/bin
ln -s ../usr/lib/os-release root/etc/os-release
ln -s usr/bin root/bin
printf '%s\\n' 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"' 'NAME="Debian GNU/Linux"' 'ID=debian' 'VERSION_ID="12"' > root/usr/lib/os-release
cat > root/var/lib/dpkg/status <<'END'
Package: libfoo++1
Status: install ok installed
Maintainer: Foo Developers <foo@example.org>
Installed-Size: 2048
Architecture: amd64
Source: foo (1:2.0~rc1+dfsg-1)
Version: 1:2.0~rc1+dfsg-1+b1
Description: foo, as a library
 It does foo.
Homepage: https://foo.example/

Package: bar
Status: install ok installed
Maintainer: "Bar, J." <bar@example.org>
Installed-Size: 10
Architecture: all
Version: 1

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1
END
mkdir -p 'root/usr/share/doc/libfoo++1'
cat > 'root/usr/share/doc/libfoo++1/copyright' <<'END'
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: somebody
License: GPL-2+ or Artistic, and Odd-1

Files: debian/*
License: Expat
 Permission is hereby granted.

License: Odd-1
 Do what is odd.
 .
 And no more.
END
ln -s real root/usr/share/doc/bar
printf '%s\\n' 'This is free.' > root/usr/share/doc/real/copyright
echo hello > root/usr/bin/hello
ln root/usr/bin/hello root/usr/bin/hello-again
`;

/** A package of npm, in the tree and as a tarball, and a wheel. */
const LANGUAGES = `
mkdir -p root/opt/app/node_modules/left root/usr/local/lib/python3.11/dist-packages/wheely-1.0.dist-info
mkdir -p root/usr/share/nodejs/node_modules/debians root/opt/app/lib
echo '{"name":"left","version":"1.0.0","license":"(MIT OR GPL-3.0-or-later)"}' > root/opt/app/node_modules/left/package.json
echo '{"name":"debians","version":"1.0.0"}' > root/usr/share/nodejs/node_modules/debians/package.json
echo '{"name":"no package"}' > root/opt/app/lib/package.json
printf '%s\\n' 'Metadata-Version: 2.1' 'Name: Wheel_Y' 'Version: 1.0' 'License: BSD-3-Clause' '' 'Name: other' > root/usr/local/lib/python3.11/dist-packages/wheely-1.0.dist-info/METADATA
mkdir -p package && echo '{"name":"@scope/tool","version":"3.0.0","license":"ISC"}' > package/package.json && tar -czf tool.tgz package
`;

test('describeTree: lists what dpkg and registries installed, and a document of SPDX of it is valid', async () => {
  await inBox(async (box) => {
    await box.run(['sh', '-ec', DEBIAN + LANGUAGES]);
    const tarballs = [{ name: '@scope/tool', version: '3.0.0', path: join(box.work, 'tool.tgz') }];
    const survey = await describeTree(box, 'root', { added: ['/bin/hello', '/not/there'], tarballs });
    expect(factsOf(survey)).toEqual({
      osRelease: expect.objectContaining({ ID: 'debian', NAME: 'Debian GNU/Linux', VERSION_ID: '12' }),
      packages: { manager: 'dpkg', count: 2 },
      unpackedBytes: expect.any(Number),
      largestPackages: [
        { name: 'libfoo++1', version: '1:2.0~rc1+dfsg-1+b1', installedBytes: 2048 * 1024 },
        { name: 'bar', version: '1', installedBytes: 10 * 1024 },
      ],
    });
    const total = await box.run([
      'sh',
      '-c',
      "find root -type f ! -name hello-again -printf '%s\\n' | paste -sd+ | bc",
    ]);
    expect(survey.unpackedBytes).toBe(Number(total));

    const document = spdxDocument(survey, IMAGE);
    expect(validate(document), JSON.stringify(validate.errors)).toBe(true);
    const [own] = document.hasExtractedLicensingInfos;
    expect(own).toMatchObject({ name: 'Odd-1', extractedText: 'Do what is odd.\n\nAnd no more.' });
    const byName = new Map(document.packages.map((one) => [one.name, one]));
    expect(byName.get('libfoo++1')).toMatchObject({
      SPDXID: 'SPDXRef-deb-libfooplusplus1-amd64',
      versionInfo: '1:2.0~rc1+dfsg-1+b1',
      supplier: 'Organization: Debian GNU/Linux',
      originator: 'Organization: Foo Developers (foo@example.org)',
      sourceInfo: 'built from foo 1:2.0~rc1+dfsg-1',
      licenseDeclared: `((GPL-2.0-or-later OR Artistic-1.0-Perl) AND ${own?.licenseId}) AND MIT`,
      checksums: [{ algorithm: 'SHA256', checksumValue: 'b'.repeat(64) }],
      externalRefs: [
        { referenceLocator: 'pkg:deb/debian/libfoo%2B%2B1@1:2.0~rc1%2Bdfsg-1%2Bb1?arch=amd64&distro=debian-12' },
      ],
    });
    expect(byName.get('bar')).toMatchObject({
      licenseDeclared: 'NOASSERTION',
      originator: 'Person: Bar, J. (bar@example.org)',
    });
    expect([...byName.keys()]).toEqual([
      'mine',
      'bar',
      'libfoo++1',
      'left',
      'Wheel_Y',
      '@scope/tool',
      'files of the recipe',
    ]);
    const { Wheel_Y: wheel, left, '@scope/tool': tool } = Object.fromEntries(byName);
    expect(wheel).toMatchObject({
      licenseDeclared: 'BSD-3-Clause',
      externalRefs: [{ referenceLocator: 'pkg:pypi/wheel-y@1.0' }],
    });
    expect(left).toMatchObject({
      licenseDeclared: 'MIT OR GPL-3.0-or-later',
      sourceInfo: 'found at /opt/app/node_modules/left/package.json',
    });
    expect(tool).toMatchObject({
      licenseDeclared: 'ISC',
      externalRefs: [{ referenceLocator: 'pkg:npm/%40scope/tool@3.0.0' }],
    });
    expect(document.files).toMatchObject([{ fileName: './bin/hello' }]);
    expect(document.relationships).toEqual(
      expect.arrayContaining([
        { spdxElementId: 'SPDXRef-DOCUMENT', relationshipType: 'DESCRIBES', relatedSpdxElement: 'SPDXRef-runtime' },
        { spdxElementId: 'SPDXRef-runtime', relationshipType: 'CONTAINS', relatedSpdxElement: 'SPDXRef-deb-bar-all' },
        { spdxElementId: 'SPDXRef-recipe-files', relationshipType: 'CONTAINS', relatedSpdxElement: 'SPDXRef-file-1' },
      ]),
    );
    const again = await describeTree(box, 'root', { added: ['/bin/hello'], tarballs });
    expect(spdxText(spdxDocument(again, IMAGE))).toBe(spdxText(document));
  });
});

test('describeTree: lists what apk installed, and packages of an image without a shell', async () => {
  await inBox(async (box) => {
    await box.run([
      'sh',
      '-ec',
      `mkdir -p root/lib/apk/db root/etc
      echo 'ID=alpine' > root/etc/os-release
      printf 'C:Q1\\nP:musl\\nV:1.2.4-r2\\nA:x86_64\\nI:634880\\nL:MIT\\nm:A B <a@example.org>\\no:musl\\n\\nP:busybox\\nV:1.36\\nA:x86_64\\nL:GPL-2.0-only AND Odd\\n\\n' > root/lib/apk/db/installed
      mkdir -p distroless/var/lib/dpkg/status.d
      printf 'Package: tzdata\\nVersion: 2024a\\nArchitecture: all\\n' > distroless/var/lib/dpkg/status.d/tzdata
      mkdir -p rpm/var/lib/rpm empty && touch rpm/var/lib/rpm/Packages`,
    ]);
    const none = { added: [], tarballs: [] };
    const alpine = await describeTree(box, 'root', none);
    const document = spdxDocument(alpine, IMAGE);
    expect(validate(document), JSON.stringify(validate.errors)).toBe(true);
    expect(document.packages.slice(1)).toMatchObject([
      { name: 'busybox', licenseDeclared: expect.stringMatching(/^GPL-2\.0-only AND LicenseRef-Odd-[0-9a-f]{8}$/) },
      { name: 'musl', externalRefs: [{ referenceLocator: 'pkg:apk/alpine/musl@1.2.4-r2?arch=x86_64&distro=alpine' }] },
    ]);
    expect((await describeTree(box, 'distroless', none)).packages).toMatchObject([
      { name: 'tzdata', version: '2024a' },
    ]);
    expect((await describeTree(box, 'rpm', none)).manager).toBe('rpm');
    expect(factsOf(await describeTree(box, 'empty', none))).toEqual({
      osRelease: {},
      packages: { manager: 'none', count: 0 },
      unpackedBytes: 0,
    });
  });
});

test('describeTree: follows no link out of a tree, and waits for nothing, whoever made it', async () => {
  await inBox(async (box) => {
    await box.run([
      'sh',
      '-ec',
      `mkdir -p root/etc root/var/lib/dpkg root/usr/share/doc outside
      echo 'SECRET=1' > outside/os-release
      ln -s ../../outside/os-release root/etc/os-release
      mkfifo root/var/lib/dpkg/status
      ln -s loop root/usr/share/loop
      ln -s /proc/self/environ root/environ
      mkdir -p root/opt/node_modules/deep root/tree
      printf '{"name":"deep"' > root/opt/node_modules/deep/package.json
      ln -s / root/tree/again
      printf 'x' > "root/$(printf 'bad\\377name')"`,
    ]);
    const survey = await describeTree(box, 'root', {
      added: ['/environ', '/usr/share/loop', '/tree/again/etc/passwd'],
      tarballs: [],
    });
    expect(survey).toMatchObject({ osRelease: {}, manager: 'none', packages: [], languages: [], added: [] });
    expect(survey.unpackedBytes).toBe(15);
  });
});
