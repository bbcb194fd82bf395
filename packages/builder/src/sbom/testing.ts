/**
 * The part of the JSON schema of SPDX 2.3 that its documents here use, for tests: the same members, the same ones
 * required, and nothing but these. Beyond the schema: forms that the specification has for identifiers, dates, agents,
 * and that its files have a SHA-1.
 */
const text = { type: 'string', minLength: 1 };
const texts = { type: 'array', items: text };
const id = { type: 'string', pattern: '^SPDXRef-[A-Za-z0-9.-]+$' };
const agent = { type: 'string', pattern: '^(Person|Organization): \\S.*$|^NOASSERTION$' };
const uri = { type: 'string', format: 'uri' };

const LENGTHS = { SHA1: 40, SHA256: 64, SHA512: 128 };
const checksum = {
  oneOf: Object.entries(LENGTHS).map(([algorithm, length]) => ({
    type: 'object',
    required: ['algorithm', 'checksumValue'],
    additionalProperties: false,
    properties: {
      algorithm: { const: algorithm },
      checksumValue: { type: 'string', pattern: `^[0-9a-f]{${length}}$` },
    },
  })),
};

const externalRef = {
  type: 'object',
  required: ['referenceCategory', 'referenceLocator', 'referenceType'],
  additionalProperties: false,
  properties: {
    referenceCategory: { enum: ['OTHER', 'PERSISTENT-ID', 'SECURITY', 'PACKAGE-MANAGER'] },
    referenceLocator: { type: 'string', pattern: '^pkg:[a-z]+/[^\\s@]+@[^\\s]+$' },
    referenceType: { const: 'purl' },
  },
};

const spdxPackage = {
  type: 'object',
  required: ['SPDXID', 'downloadLocation', 'name'],
  additionalProperties: false,
  properties: {
    SPDXID: id,
    ...{ name: text, versionInfo: text, packageFileName: text, summary: { type: 'string' }, sourceInfo: text },
    ...{ supplier: agent, originator: agent },
    downloadLocation: { enum: ['NOASSERTION', 'NONE'] },
    homepage: { type: 'string' },
    filesAnalyzed: { type: 'boolean' },
    packageVerificationCode: {
      type: 'object',
      required: ['packageVerificationCodeValue'],
      additionalProperties: false,
      properties: { packageVerificationCodeValue: { type: 'string', pattern: '^[0-9a-f]{40}$' } },
    },
    ...{ licenseConcluded: text, licenseDeclared: text, licenseInfoFromFiles: texts, copyrightText: text },
    checksums: { type: 'array', items: checksum },
    externalRefs: { type: 'array', items: externalRef },
    primaryPackagePurpose: { enum: ['OPERATING_SYSTEM', 'CONTAINER', 'FILE', 'LIBRARY', 'APPLICATION', 'OTHER'] },
  },
  // What is not analysed has no code, what is has one.
  if: { properties: { filesAnalyzed: { const: true } }, required: ['filesAnalyzed'] },
  // biome-ignore lint/suspicious/noThenProperty: a word of JSON schema
  then: { required: ['packageVerificationCode'] },
  else: { not: { required: ['packageVerificationCode'] } },
};

const file = {
  type: 'object',
  required: ['SPDXID', 'checksums', 'fileName'],
  additionalProperties: false,
  properties: {
    SPDXID: id,
    fileName: { type: 'string', pattern: '^\\./' },
    checksums: {
      type: 'array',
      minItems: 1,
      items: checksum,
      contains: { type: 'object', properties: { algorithm: { const: 'SHA1' } } },
    },
    ...{ licenseConcluded: text, licenseInfoInFiles: texts, copyrightText: text },
  },
};

const relationship = {
  type: 'object',
  required: ['relatedSpdxElement', 'relationshipType', 'spdxElementId'],
  additionalProperties: false,
  properties: {
    spdxElementId: id,
    relationshipType: { enum: ['DESCRIBES', 'CONTAINS'] },
    relatedSpdxElement: id,
  },
};

/** The schema, for ajv. */
export const SPDX_SCHEMA = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  type: 'object',
  required: ['SPDXID', 'creationInfo', 'dataLicense', 'name', 'spdxVersion', 'documentNamespace'],
  additionalProperties: false,
  properties: {
    ...{ SPDXID: id, spdxVersion: { const: 'SPDX-2.3' }, dataLicense: { const: 'CC0-1.0' }, name: text },
    documentNamespace: { ...uri, pattern: '^[^#]+$' },
    creationInfo: {
      type: 'object',
      required: ['created', 'creators'],
      additionalProperties: false,
      properties: {
        created: { type: 'string', pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ$' },
        creators: {
          type: 'array',
          minItems: 1,
          items: { type: 'string', pattern: '^(Tool|Person|Organization): \\S' },
        },
      },
    },
    packages: { type: 'array', items: spdxPackage },
    files: { type: 'array', items: file },
    hasExtractedLicensingInfos: {
      type: 'array',
      items: {
        type: 'object',
        required: ['extractedText', 'licenseId'],
        additionalProperties: false,
        properties: {
          licenseId: { type: 'string', pattern: '^LicenseRef-[A-Za-z0-9.-]+$' },
          ...{ name: text, extractedText: text },
        },
      },
    },
    relationships: { type: 'array', items: relationship },
  },
} as const;

/** Whether a text is a licence expression as the specification's annex D has them, with names of any kind. */
export function isLicenceExpression(text: string): boolean {
  const tokens = text.match(/[()]|[A-Za-z0-9.-]+|\S/g) ?? [];
  const isName = (token = '') => /^[A-Za-z0-9.-]+$/.test(token) && !/^(AND|OR|WITH)$/.test(token);
  const term = (): boolean => {
    if (tokens[0] === '(') {
      tokens.shift();
      return compound() && tokens.shift() === ')';
    }
    if (!isName(tokens.shift())) return false;
    if (tokens[0] !== 'WITH') return true;
    tokens.shift();
    return isName(tokens.shift());
  };
  const compound = (): boolean => {
    if (!term()) return false;
    while (tokens[0] === 'AND' || tokens[0] === 'OR') {
      tokens.shift();
      if (!term()) return false;
    }
    return true;
  };
  return compound() && tokens.length === 0;
}
