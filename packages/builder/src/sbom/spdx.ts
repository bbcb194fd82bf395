import { createHash } from 'node:crypto';
import type { DescribedImage } from './described-image.ts';
import { type SpdxPackage, type SpdxRelationship, spdxPackages } from './spdx-packages.ts';
import type { TreeSurvey } from './survey-schema.ts';

interface SpdxFile {
  SPDXID: string;
  fileName: string;
  checksums: { algorithm: 'SHA1' | 'SHA256'; checksumValue: string }[];
  licenseConcluded: string;
  licenseInfoInFiles: string[];
  copyrightText: string;
}

/** A document of SPDX 2.3, in its JSON form: the members that are written here. */
export interface SpdxDocument {
  spdxVersion: 'SPDX-2.3';
  dataLicense: 'CC0-1.0';
  SPDXID: 'SPDXRef-DOCUMENT';
  name: string;
  documentNamespace: string;
  creationInfo: { created: string; creators: string[] };
  packages: SpdxPackage[];
  files: SpdxFile[];
  hasExtractedLicensingInfos: { licenseId: string; name: string; extractedText: string }[];
  relationships: SpdxRelationship[];
}

const RUNTIME = 'SPDXRef-runtime';
const ADDED = 'SPDXRef-recipe-files';

/** The list of what is in an image. The same survey and the same image give the same bytes. */
export function spdxDocument(survey: TreeSurvey, image: DescribedImage): SpdxDocument {
  const { name, version, filesystem, fileHash, epochSeconds, builder } = image;
  const contained = spdxPackages(survey, image);
  const files = filesOf(survey);
  const runtime: SpdxPackage = {
    ...{ SPDXID: RUNTIME, name, versionInfo: version },
    packageFileName: `${name}.${filesystem}`,
    ...{ downloadLocation: 'NOASSERTION', filesAnalyzed: false },
    ...{ licenseConcluded: 'NOASSERTION', licenseDeclared: 'NOASSERTION', copyrightText: 'NOASSERTION' },
    checksums: [{ algorithm: 'SHA256', checksumValue: fileHash }],
    primaryPackagePurpose: 'OPERATING_SYSTEM',
  };
  const added = files.length > 0 ? [addedPackage(files)] : [];
  const contains = (spdxElementId: string, relatedSpdxElement: string): SpdxRelationship => ({
    ...{ spdxElementId, relationshipType: 'CONTAINS', relatedSpdxElement },
  });
  return {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name: `${name} ${version}`,
    // The place that the specification names for documents of those who have none of their own.
    documentNamespace: `https://spdx.org/spdxdocs/${encodeURIComponent(name)}-${fileHash}`,
    creationInfo: {
      created: new Date(epochSeconds * 1000).toISOString().replace(/\.\d+Z$/, 'Z'),
      creators: [`Tool: ${builder}`],
    },
    packages: [runtime, ...contained, ...added],
    files,
    hasExtractedLicensingInfos: survey.ownLicences.map((own) => ({
      ...{ licenseId: own.id, name: own.name, extractedText: own.text },
    })),
    relationships: [
      { spdxElementId: 'SPDXRef-DOCUMENT', relationshipType: 'DESCRIBES', relatedSpdxElement: RUNTIME },
      ...[...contained, ...added].map(({ SPDXID }) => contains(RUNTIME, SPDXID)),
      ...files.map(({ SPDXID }) => contains(ADDED, SPDXID)),
    ],
  };
}

/** Its text, as it is kept and published: one member a line is enough for a comparison by people. */
export function spdxText(document: SpdxDocument): string {
  return `${JSON.stringify(document, null, 1)}\n`;
}

function filesOf({ added }: TreeSurvey): SpdxFile[] {
  return added.map(({ path, sha1, sha256 }, index) => ({
    ...{ SPDXID: `SPDXRef-file-${index + 1}`, fileName: `.${path}` },
    checksums: [
      { algorithm: 'SHA1', checksumValue: sha1 },
      { algorithm: 'SHA256', checksumValue: sha256 },
    ],
    ...{ licenseConcluded: 'NOASSERTION', licenseInfoInFiles: ['NOASSERTION'], copyrightText: 'NOASSERTION' },
  }));
}

/** What the recipe itself put into the image. Its code is that of the specification, section 7.9. */
function addedPackage(files: readonly SpdxFile[]): SpdxPackage {
  const sums = files.map(({ checksums }) => checksums[0]?.checksumValue ?? '').sort();
  return {
    ...{ SPDXID: ADDED, name: 'files of the recipe', downloadLocation: 'NOASSERTION', filesAnalyzed: true },
    packageVerificationCode: {
      packageVerificationCodeValue: createHash('sha1').update(sums.join('')).digest('hex'),
    },
    ...{ licenseConcluded: 'NOASSERTION', licenseDeclared: 'NOASSERTION', copyrightText: 'NOASSERTION' },
    licenseInfoFromFiles: ['NOASSERTION'],
  };
}
