import type { DescribedImage } from './described-image.ts';
import type { TreeSurvey } from './survey-schema.ts';

/** A package of SPDX 2.3: the members that are written here. */
export interface SpdxPackage {
  SPDXID: string;
  name: string;
  versionInfo?: string;
  packageFileName?: string;
  supplier?: string;
  originator?: string;
  downloadLocation: string;
  homepage?: string;
  sourceInfo?: string;
  summary?: string;
  filesAnalyzed: boolean;
  packageVerificationCode?: { packageVerificationCodeValue: string };
  licenseConcluded: string;
  licenseDeclared: string;
  licenseInfoFromFiles?: string[];
  copyrightText: string;
  checksums?: { algorithm: 'SHA256' | 'SHA512'; checksumValue: string }[];
  externalRefs?: { referenceCategory: 'PACKAGE-MANAGER'; referenceType: 'purl'; referenceLocator: string }[];
  primaryPackagePurpose?: 'OPERATING_SYSTEM';
}

/** How one element stands to another. */
export interface SpdxRelationship {
  spdxElementId: string;
  relationshipType: 'DESCRIBES' | 'CONTAINS';
  relatedSpdxElement: string;
}

type SystemPackage = TreeSurvey['packages'][number];
type LanguagePackage = TreeSurvey['languages'][number];

const TYPES = { dpkg: 'deb', apk: 'apk', rpm: 'rpm', none: 'generic' } as const;

/** The packages of a tree's package manager, then those of languages; each has an identifier of its own. */
export function spdxPackages(
  survey: TreeSurvey,
  hashes: Pick<DescribedImage, 'sha256Of' | 'sha512Of' | 'origin'>,
): SpdxPackage[] {
  const taken = new Set<string>();
  const idOf = (...words: string[]) => {
    const plain = `SPDXRef-${words.join('-')}`.replaceAll(/[^A-Za-z0-9.-]/g, (char) => (char === '+' ? 'plus' : '-'));
    let id = plain;
    for (let count = 2; taken.has(id); count += 1) id = `${plain}-${count}`;
    taken.add(id);
    return id;
  };
  return [
    ...survey.packages.map((one) => ({
      SPDXID: idOf(TYPES[survey.manager], one.name, one.architecture),
      ...ofSystem(one, survey, hashes.origin),
      ...checksum('SHA256', hashes.sha256Of(one)),
    })),
    ...survey.languages.map((one) => ({
      SPDXID: idOf(one.kind, one.name, one.version),
      ...ofLanguage(one),
      ...checksum('SHA512', one.kind === 'npm' ? hashes.sha512Of(one) : undefined),
    })),
  ];
}

function ofSystem(
  one: SystemPackage,
  { manager, osRelease }: TreeSurvey,
  origin: DescribedImage['origin'],
): Omit<SpdxPackage, 'SPDXID'> {
  const { name, version, architecture, source, maintainer, homepage, summary, licence } = one;
  const { distribution = osRelease.ID ?? 'unknown', release = osRelease.VERSION_ID } = origin ?? {};
  const supplier = origin?.distribution ?? osRelease.NAME;
  const from = source.name === name && source.version === version ? undefined : `${source.name} ${source.version}`;
  const qualifiers = [
    `arch=${encoded(architecture)}`,
    `distro=${encoded(release === undefined ? distribution : `${distribution}-${release}`)}`,
  ];
  const purl = `pkg:${TYPES[manager]}/${encoded(distribution)}/${encoded(name)}@${encoded(version)}?${qualifiers.join('&')}`;
  return {
    ...{ name, versionInfo: version },
    ...(supplier === undefined ? {} : { supplier: `Organization: ${supplier}` }),
    ...(maintainer === undefined ? {} : { originator: agent(maintainer) }),
    downloadLocation: 'NOASSERTION',
    ...(homepage !== undefined && /^https?:\/\/\S+$/.test(homepage) ? { homepage } : {}),
    ...(from === undefined ? {} : { sourceInfo: `built from ${from}` }),
    ...(summary === undefined ? {} : { summary }),
    ...licences(licence),
    ...reference(purl),
  };
}

function ofLanguage({ kind, name, version, licence, path }: LanguagePackage): Omit<SpdxPackage, 'SPDXID'> {
  // The scope is a namespace of its own; PyPI's names are the same in any case, and with any of its separators.
  const plain = kind === 'pypi' ? name.toLowerCase().replaceAll(/[-_.]+/g, '-') : name;
  const purl = `pkg:${kind}/${plain.split('/').map(encoded).join('/')}@${encoded(version)}`;
  return {
    ...{ name, versionInfo: version, downloadLocation: 'NOASSERTION' },
    ...(path === undefined ? {} : { sourceInfo: `found at ${path}` }),
    ...licences(licence),
    ...reference(purl),
  };
}

function licences(declared = 'NOASSERTION') {
  return {
    filesAnalyzed: false,
    ...{ licenseConcluded: 'NOASSERTION', licenseDeclared: declared, copyrightText: 'NOASSERTION' },
  };
}

function reference(purl: string): Pick<SpdxPackage, 'externalRefs'> {
  return {
    externalRefs: [{ referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: purl }],
  };
}

function checksum(algorithm: 'SHA256' | 'SHA512', checksumValue: string | undefined): Pick<SpdxPackage, 'checksums'> {
  return checksumValue === undefined ? {} : { checksums: [{ algorithm, checksumValue }] };
}

/** In SPDX' own form: `Person: Name (address)`. */
function agent(maintainer: string): string {
  const [, name = maintainer, address] = /^(.*?)\s*<([^<>]*)>$/.exec(maintainer) ?? [];
  const plain = name.replace(/^"(.*)"$/, '$1').trim() || 'anonymous';
  const kind = /\b(team|developers|maintainers|group|project)\b/i.test(plain) ? 'Organization' : 'Person';
  return `${kind}: ${plain}${address === undefined ? '' : ` (${address})`}`;
}

/** As a package URL has it: a colon stays. */
function encoded(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replaceAll('%3A', ':');
}
