import { readExpression } from './expression.ts';

/** A licence that is not on SPDX's list: its name, and its text as far as it was found. */
export interface OwnLicence {
  readonly name: string;
  readonly text: string;
}

/** Turns a licence that is not on SPDX's list into the `LicenseRef-` that stands for it in the document. */
export type Refer = (licence: OwnLicence) => string;

/** Identifiers of SPDX's list that packages of distributions name just so; compared without case. */
const LISTED = `0BSD AFL-2.1 AFL-3.0 AGPL-3.0-only AGPL-3.0-or-later Apache-1.0 Apache-1.1 Apache-2.0 APSL-2.0
Artistic-1.0-Perl Artistic-2.0 Beerware BSD-1-Clause BSD-2-Clause BSD-3-Clause BSD-4-Clause BSD-4-Clause-UC
BSD-Source-Code BSL-1.0 bzip2-1.0.6 CC-BY-3.0 CC-BY-4.0 CC-BY-SA-3.0 CC-BY-SA-4.0 CC0-1.0 CDDL-1.0 CDDL-1.1 CPL-1.0
curl ECL-2.0 EFL-2.0 EPL-1.0 EPL-2.0 EUPL-1.2 FSFAP FSFUL FSFULLR FTL GFDL-1.2-only GFDL-1.2-or-later GFDL-1.3-only
GFDL-1.3-or-later GPL-1.0-only GPL-1.0-or-later GPL-2.0-only GPL-2.0-or-later GPL-3.0-only GPL-3.0-or-later HPND ICU
IJG ImageMagick Info-ZIP IPL-1.0 ISC JSON LGPL-2.0-only LGPL-2.0-or-later LGPL-2.1-only LGPL-2.1-or-later LGPL-3.0-only
LGPL-3.0-or-later Libpng libtiff LPPL-1.3c MirOS MIT MIT-0 MPL-1.0 MPL-1.1 MPL-2.0 MS-PL NCSA NTP OFL-1.1 OLDAP-2.8
OpenSSL PHP-3.01 PostgreSQL PSF-2.0 Python-2.0 QPL-1.0 Ruby RSA-MD Sleepycat SMLNJ TCL TCP-wrappers Unicode-DFS-2016
Unlicense UPL-1.0 Vim W3C WTFPL X11 Xnet Zlib zlib-acknowledgement ZPL-2.0 ZPL-2.1`.split(/\s+/);

/** What Debian and others call what SPDX has under another name. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  'apache-2': 'Apache-2.0',
  artistic: 'Artistic-1.0-Perl',
  'artistic-1': 'Artistic-1.0-Perl',
  'bsd-4-clause-uc': 'BSD-4-Clause-UC',
  'cc-by-sa-3': 'CC-BY-SA-3.0',
  cc0: 'CC0-1.0',
  expat: 'MIT',
  'mpl-2': 'MPL-2.0',
  'openldap-2.8': 'OLDAP-2.8',
  perl: 'Artistic-1.0-Perl OR GPL-1.0-or-later',
  psf: 'PSF-2.0',
  'psf-2': 'PSF-2.0',
  python: 'Python-2.0',
  'sil-1.1': 'OFL-1.1',
  'boost-1.0': 'BSL-1.0',
};

const EXCEPTIONS: Readonly<Record<string, string>> = {
  'autoconf GPL-2.0': 'Autoconf-exception-2.0',
  'autoconf GPL-3.0': 'Autoconf-exception-3.0',
  'bison GPL-2.0': 'Bison-exception-2.2',
  'bison GPL-3.0': 'Bison-exception-2.2',
  'classpath GPL-2.0': 'Classpath-exception-2.0',
  'font GPL-2.0': 'Font-exception-2.0',
  'gcc GPL-3.0': 'GCC-exception-3.1',
  'libtool GPL-2.0': 'Libtool-exception',
};

const BY_LOWERCASE = new Map(LISTED.map((id) => [id.toLowerCase(), id]));
/** A longer text is no name of licences; it stands as a licence of its own. */
const MAX_EXPRESSION_CHARS = 512;

/**
 * A licence as a copyright file or a package names it, as an expression of SPDX. What is not on SPDX's list becomes a
 * reference with its text. Never fails: text that is no expression is one licence of its own.
 * @param textOf the text of a licence by its name in lowercase, where there is one
 */
export function spdxExpression(
  named: string,
  { refer, textOf }: { refer: Refer; textOf: (name: string) => string | undefined },
): string {
  const words = named.trim().replaceAll(/\s+/g, ' ');
  const own = (name: string) =>
    refer({ name, text: textOf(name.toLowerCase()) ?? `Named "${name}", without its text` });
  if (words.length > MAX_EXPRESSION_CHARS) return own(words.slice(0, MAX_EXPRESSION_CHARS));
  // In Debian's form a comma lets what follows bind less than what stands before: "A or B, and C".
  const [first = '', ...rest] = words.split(/, (?=(?:and|or) )/i);
  const parts = rest.map((part) => /^(and|or) (.*)$/i.exec(part)?.slice(1) ?? []);
  const texts = [first, ...parts.map(([, text = '']) => text)];
  // Only words that are an expression as a whole make references.
  if (texts.some((text) => readExpression(text, { termOf: (name) => name }) === undefined)) return own(words);
  const terms = { termOf: (name: string, exception: string | undefined) => termOf({ name, exception }, own) };
  const read = texts.map((text) => readExpression(text, terms) ?? '');
  return read
    .slice(1)
    .reduce(
      (joined, part, index) => `${grouped(joined)} ${parts[index]?.[0]?.toUpperCase()} ${grouped(part)}`,
      read[0] ?? '',
    );
}

/** All of these, each once and sorted. */
export function allOf(expressions: readonly string[]): string {
  const distinct = [...new Set(expressions)].sort();
  return distinct.length > 1 ? distinct.map(grouped).join(' AND ') : (distinct[0] ?? 'NOASSERTION');
}

function grouped(expression: string): string {
  return / (AND|OR) /.test(expression) ? `(${expression})` : expression;
}

function termOf({ name, exception }: { name: string; exception: string | undefined }, own: (name: string) => string) {
  const base = listed(name);
  if (exception === undefined) return base ?? own(name);
  const known = EXCEPTIONS[`${exception.toLowerCase()} ${base?.replace(/-(only|or-later)$/, '')}`];
  const exact = Object.values(EXCEPTIONS).find((id) => id === exception);
  const found = known ?? exact;
  return base !== undefined && found !== undefined
    ? `${base} WITH ${found}`
    : own(`${name} with ${exception} exception`);
}

/** The identifier of SPDX's list; undefined where there is none for sure. */
function listed(name: string): string | undefined {
  const lower = name.toLowerCase();
  const found = BY_LOWERCASE.get(lower) ?? (Object.hasOwn(OTHER_NAMES, lower) ? OTHER_NAMES[lower] : undefined);
  if (found !== undefined) return found;
  const gnu = /^(a?gpl|lgpl|gfdl)[-v]{0,2}(\d(?:\.\d)?)(\+|-or-later|-only)?$/.exec(lower);
  if (gnu === null) return undefined;
  const [, kind = '', number = '', suffix = ''] = gnu;
  const version = number.includes('.') ? number : `${number}.0`;
  return BY_LOWERCASE.get(`${kind}-${version}-${suffix === '+' || suffix === '-or-later' ? 'or-later' : 'only'}`);
}
