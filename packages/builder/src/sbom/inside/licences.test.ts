import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isLicenceExpression } from '../testing.ts';
import { readCopyright } from './copyright.ts';
import { readNpm, readWheel } from './languages.ts';
import { allOf, spdxExpression } from './licences.ts';
import { OwnLicences } from './own-licences.ts';
import { readApkInstalled, readDpkgStatus } from './system-packages.ts';

const RUNS = process.env.VMLET_TEST_ALL === undefined ? 3000 : 100_000;

/** Those of their own as `REF-` and their name, to be seen in an expression. */
const seen = (named: string) =>
  allOf([spdxExpression(named, { refer: ({ name }) => `REF-${name.replaceAll(' ', '_')}`, textOf: () => undefined })]);

test.each([
  ['GPL-2', 'GPL-2.0-only'],
  ['GPL-2+', 'GPL-2.0-or-later'],
  ['gpl-3.0+', 'GPL-3.0-or-later'],
  ['GPLv3+', 'GPL-3.0-or-later'],
  ['LGPL-2.1', 'LGPL-2.1-only'],
  ['AGPL-3', 'AGPL-3.0-only'],
  ['Expat', 'MIT'],
  ['BSD-3-clause', 'BSD-3-Clause'],
  ['Perl', 'Artistic-1.0-Perl OR GPL-1.0-or-later'],
  ['GPL-1+ or Artistic', 'GPL-1.0-or-later OR Artistic-1.0-Perl'],
  ['GPL-2+ or Artistic, and BSD-2-clause', '(GPL-2.0-or-later OR Artistic-1.0-Perl) AND BSD-2-Clause'],
  ['A or B and C', 'REF-A OR (REF-B AND REF-C)'],
  ['GPL-2+ with Autoconf exception', 'GPL-2.0-or-later WITH Autoconf-exception-2.0'],
  ['GPL-3+ with Autoconf exception', 'GPL-3.0-or-later WITH Autoconf-exception-3.0'],
  ['GPL-2 with odd exception', 'REF-GPL-2_with_odd_exception'],
  ['GPL', 'REF-GPL'],
  ['GPL-9', 'REF-GPL-9'],
  ['public-domain', 'REF-public-domain'],
  ['Permission is granted to do so and more', 'REF-Permission_is_granted_to_do_so_and_more'],
  ['(MIT OR (Apache-2.0 AND BSD-3-Clause))', 'MIT OR (Apache-2.0 AND BSD-3-Clause)'],
  ['GPL-2.0-only WITH Classpath-exception-2.0', 'GPL-2.0-only WITH Classpath-exception-2.0'],
  ['(A or B) and MIT', '(REF-A OR REF-B) AND MIT'],
  ['(MIT', 'REF-(MIT'],
  ['( OR )', 'REF-(_OR_)'],
  ['toString', 'REF-toString'],
])('spdxExpression: reads "%s" as "%s"', (named, expected) => {
  expect(seen(named)).toBe(expected);
});

test('readCopyright: knows only the form that machines read, and takes the licences of files before that of all', () => {
  const refer = () => 'REF';
  expect(readCopyright('This package is free.\n\nLicense: GPL-2\n', refer)).toBeUndefined();
  expect(readCopyright('', refer)).toBeUndefined();
  const head = 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n';
  expect(readCopyright(head, refer)).toBeUndefined();
  expect(readCopyright(`${head}License: Expat\n`, refer)).toBe('MIT');
  expect(readCopyright(`${head}License: Expat\n\nFiles: *\nLicense: ISC\n`, refer)).toBe('ISC');
  expect(readCopyright(`${head}\nFiles: *\nLicense:\n Do as you like.\n`, refer)).toBe('REF');
});

test('OwnLicences: has one entry for the same words, cuts long ones, and ends at so many', () => {
  const own = new OwnLicences();
  const ids = [own.refer({ name: 'A b', text: 'x' }), own.refer({ name: 'A b', text: 'x' })];
  expect(ids[0]).toMatch(/^LicenseRef-A-b-[0-9a-f]{8}$/);
  expect(ids[1]).toBe(ids[0]);
  own.refer({ name: 'long', text: 'x'.repeat(9000) });
  expect(own.all()[1]?.text).toHaveLength(4096 + ' [...]'.length);
  for (let index = 0; index < 3000; index += 1) own.refer({ name: 'many', text: String(index) });
  expect(own.all()).toHaveLength(2001);
  expect(own.refer({ name: 'yet another', text: '' })).toBe('LicenseRef-more');
});

const words = fc.stringMatching(/^([A-Za-z0-9.+()-]{0,8}( |, | and | or | AND | OR | WITH | with |\n|\n )){0,12}$/);
const lines = fc.array(
  fc.tuple(fc.constantFrom('Format', 'Files', 'License', 'Package', 'Version', 'Name', ' ', 'P', 'V', 'L'), words),
);
const anything = fc.oneof(fc.string({ unit: 'binary', maxLength: 400 }), words);

test('spdxExpression: makes an expression of any words', () => {
  fc.assert(
    fc.property(anything, (named) => {
      const own = new OwnLicences();
      const expression = spdxExpression(named, { refer: own.refer, textOf: () => undefined });
      expect(isLicenceExpression(allOf([expression])), allOf([expression])).toBe(true);
      expect(isLicenceExpression(allOf([expression, 'MIT'])), expression).toBe(true);
    }),
    { numRuns: RUNS },
  );
});

test('readCopyright, readDpkgStatus, readApkInstalled, readNpm, readWheel: fail at no text', () => {
  const texts = fc.oneof(
    anything,
    lines.map((all) => all.map(([name, value]) => `${name}:${value}`).join('\n')),
    fc.json(),
  );
  fc.assert(
    fc.property(texts, (text) => {
      const { refer } = new OwnLicences();
      const copyright = readCopyright(`Format: copyright-format\n\n${text}`, refer);
      if (copyright !== undefined) expect(isLicenceExpression(copyright), copyright).toBe(true);
      for (const one of [...readDpkgStatus(text), ...readApkInstalled(text)]) expect(one.name).toMatch(/^\S+$/);
      readNpm(text, { refer });
      readWheel(text, { refer, path: '/' });
    }),
    { numRuns: RUNS },
  );
});
