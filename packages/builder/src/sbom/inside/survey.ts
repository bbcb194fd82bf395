import { createHash } from 'node:crypto';
import { readCopyright } from './copyright.ts';
import { type LanguagePackage, languagesIn, ofTarball, type Tarball } from './languages.ts';
import { allOf, spdxExpression } from './licences.ts';
import { OwnLicences, type ReferredLicence } from './own-licences.ts';
import { readApkInstalled, readDpkgStatus, type SystemPackage } from './system-packages.ts';
import { Tree } from './tree.ts';
import { walk } from './walk.ts';

/** What is asked of a tree. */
export interface SurveyRequest {
  /** Its folder. */
  readonly root: string;
  /** Absolute paths in it, of files that the recipe put there. */
  readonly added: readonly string[];
  readonly tarballs: readonly Tarball[];
  /** Packages of Debian whose files were only unpacked, so that no package manager in the tree knows of them. */
  readonly unpacked: readonly Pick<SystemPackage, 'name' | 'version' | 'architecture'>[];
}

/** What a tree is made of, as far as it tells. */
export interface Survey {
  readonly osRelease: Readonly<Record<string, string>>;
  readonly manager: 'dpkg' | 'apk' | 'rpm' | 'none';
  /** `licence` is an expression of SPDX, or missing. */
  readonly packages: readonly SystemPackage[];
  readonly languages: readonly LanguagePackage[];
  readonly added: readonly { path: string; sha1: string; sha256: string; sizeBytes: number }[];
  readonly ownLicences: readonly ReferredLicence[];
  readonly unpackedBytes: number;
}

const MAX_OS_RELEASE_BYTES = 16_384;
const MAX_STATUS_BYTES = 32 * 1024 * 1024;
const MAX_COPYRIGHT_BYTES = 4 * 1024 * 1024;
/** More members of os-release are not told, nor longer ones. */
const MAX_OS_MEMBERS = 32;
const MAX_OS_CHARS = 256;
/** More than a person reads, and than a document should carry for each package. */
const MAX_EXPRESSION_CHARS = 16_384;

const DPKG = '/var/lib/dpkg/status';
const DPKG_PARTS = '/var/lib/dpkg/status.d';
const APK = '/lib/apk/db/installed';
const RPM = ['/var/lib/rpm', '/usr/lib/sysimage/rpm'];

/** Looks at a tree that somebody else made. Reads only what lies in it, and of each file only so much. */
export async function survey({ root, added, tarballs, unpacked }: SurveyRequest): Promise<Survey> {
  const tree = new Tree(root);
  const own = new OwnLicences();
  const { manager, packages } = await systemPackages(tree, { own, unpacked });
  const { unpackedBytes, npm, wheels } = walk(tree);
  const languages = await languagesIn(tree, { npm, wheels }, own.refer);
  for (const tarball of tarballs) {
    // One that was copied whole is found by its package.json, where that lies as npm would put it.
    const isFound = languages.some(({ name, version }) => name === tarball.name && version === tarball.version);
    if (!isFound) languages.push(await ofTarball(tarball, own.refer));
  }
  return {
    osRelease: await osRelease(tree),
    ...{ manager, packages, languages, unpackedBytes },
    added: await hashed(tree, added),
    ownLicences: own.all(),
  };
}

async function systemPackages(
  tree: Tree,
  { own, unpacked }: { own: OwnLicences; unpacked: SurveyRequest['unpacked'] },
): Promise<Pick<Survey, 'manager' | 'packages'>> {
  const status = await tree.read(DPKG, MAX_STATUS_BYTES);
  const parts: string[] = [];
  if (status === '')
    for (const name of await tree.list(DPKG_PARTS))
      if (!name.endsWith('.md5sums')) parts.push(await tree.read(`${DPKG_PARTS}/${name}`, MAX_OS_RELEASE_BYTES));
  const installed = readDpkgStatus(status === '' ? parts.join('\n\n') : status);
  const dpkg = installed.length > 0 ? installed : unpacked.map(ofUnpacked);
  if (dpkg.length > 0) {
    const packages: SystemPackage[] = [];
    for (const one of dpkg) packages.push({ ...one, licence: await debianLicence(tree, one.name, own) });
    return { manager: 'dpkg', packages };
  }
  const apk = readApkInstalled(await tree.read(APK, MAX_STATUS_BYTES));
  if (apk.length > 0)
    return { manager: 'apk', packages: apk.map((one) => ({ ...one, licence: apkLicence(one, own) })) };
  for (const folder of RPM) if ((await tree.list(folder)).length > 0) return { manager: 'rpm', packages: [] };
  return { manager: 'none', packages: [] };
}

function ofUnpacked({ name, version, architecture }: SurveyRequest['unpacked'][number]): SystemPackage {
  const nothing = { maintainer: undefined, homepage: undefined, summary: undefined, licence: undefined };
  return { ...nothing, name, version, architecture, source: { name, version }, installedBytes: undefined };
}

async function debianLicence(tree: Tree, name: string, { refer }: OwnLicences): Promise<string | undefined> {
  // A name with a slash or dots would be another path; it is looked up in the tree all the same.
  const text = await tree.read(`/usr/share/doc/${name}/copyright`, MAX_COPYRIGHT_BYTES);
  const licence = text === '' ? undefined : readCopyright(text, refer);
  return licence !== undefined && licence.length <= MAX_EXPRESSION_CHARS ? licence : undefined;
}

function apkLicence({ licence }: SystemPackage, { refer }: OwnLicences): string | undefined {
  if (licence === undefined || licence === '') return undefined;
  return allOf([spdxExpression(licence, { refer, textOf: () => undefined })]);
}

async function osRelease(tree: Tree): Promise<Record<string, string>> {
  const text =
    (await tree.read('/etc/os-release', MAX_OS_RELEASE_BYTES)) ||
    (await tree.read('/usr/lib/os-release', MAX_OS_RELEASE_BYTES));
  const members = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, name = '', value = ''] = /^([A-Z][A-Z0-9_]{0,31})=(.*)$/.exec(line.trim()) ?? [];
    const plain = value.replace(/^(["'])(.*)\1$/, '$2').replaceAll(/\\(["'$`\\])/g, '$1');
    if (name !== '' && plain.length <= MAX_OS_CHARS && members.size < MAX_OS_MEMBERS) members.set(name, plain);
  }
  return Object.fromEntries(members);
}

async function hashed(tree: Tree, paths: readonly string[]): Promise<Survey['added']> {
  const files: Survey['added'][number][] = [];
  for (const path of [...new Set(paths)].sort()) {
    await using file = await tree.open(Buffer.from(path).toString('latin1'));
    if (file === undefined) continue;
    const sha1 = createHash('sha1');
    const sha256 = createHash('sha256');
    let sizeBytes = 0;
    for await (const chunk of file.createReadStream({ autoClose: false })) {
      const bytes: Buffer = chunk;
      sizeBytes += bytes.length;
      sha1.update(bytes);
      sha256.update(bytes);
    }
    files.push({ path, sha1: sha1.digest('hex'), sha256: sha256.digest('hex'), sizeBytes });
  }
  return files;
}
