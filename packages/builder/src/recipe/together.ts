import type { Recipe } from '../schema.ts';
import type { MemberPath } from './node.ts';

interface Refusal {
  path: MemberPath;
  message: string;
}

/** What a filesystem can be compressed with by the tools that make it. */
export const COMPRESSIONS: Readonly<Record<Recipe['filesystem']['format'], readonly string[]>> = {
  erofs: ['none', 'lz4', 'lz4hc'],
  squashfs: ['none', 'gzip', 'lz4', 'xz', 'zstd'],
  ext4: ['none'],
  btrfs: ['none'],
};
/** What erofs can take at once, in KiB. */
const MAX_EROFS_CLUSTER_KIB = 64;

/** What a manifest can take of an environment and labels, in characters of JSON. */
const MAX_SETTINGS_CHARS = 16_000;

/** What may not stand together, in a recipe whose members are right by themselves. */
export function refusedTogether(recipe: Recipe): Refusal[] {
  return [
    ...ofVariant(recipe),
    ...ofBase(recipe),
    ...ofPlaces(recipe),
    ...ofFilesystem(recipe.filesystem),
    ...ofManifest(recipe),
  ];
}

function ofVariant(recipe: Recipe): Refusal[] {
  if (recipe.variant === 'extract') {
    return (['include', 'remove'] as const)
      .filter((member) => recipe[member].length > 0)
      .map((member) => ({ path: [member], message: 'expected none with variant "extract"' }));
  }
  const message = 'expected it with variant "extract" only';
  const members = (['directories', 'applets'] as const).filter((member) => recipe[member] !== undefined);
  const joined = [...(recipe.files ?? []).entries()].filter(([, { concat }]) => concat !== undefined);
  return [...members.map((member) => [member]), ...joined.map(([index]) => ['files', index, 'concat'])].map((path) => ({
    path,
    message,
  }));
}

/** Packages of a published runtime are there already: how it was made is its own business. */
function ofBase({ extends: base, distribution, packages, variant }: Recipe): Refusal[] {
  if (base === undefined) return [];
  const refused: Refusal[] = [];
  if (variant === 'extract') refused.push({ path: ['variant'], message: 'expected none with a published runtime' });
  if (distribution === 'custom' && packages.length > 0) {
    const message = 'expected "distribution" and "suite" of the published runtime too, to install packages on it';
    refused.push({ path: ['packages'], message });
  }
  return refused;
}

function ofPlaces(recipe: Recipe): Refusal[] {
  const refused: Refusal[] = [];
  // Once the files are in, nothing may take their place: what `remove` removes is the author's own business.
  const taken = [...Object.keys(recipe.links ?? {}), ...(recipe.files ?? []).map(({ path }) => path)];
  if (recipe.init === 'image' && taken.includes('/sbin/init')) {
    const message = 'expected nothing at "/sbin/init" with "image", which puts init0 there';
    refused.push({ path: ['init'], message });
  }
  // What is below a link would be written where the link leads to, on the building machine.
  const links = Object.keys(recipe.links ?? {});
  for (const path of links) {
    if (links.some((link) => path.startsWith(`${link}/`)))
      refused.push({ path: ['links', path], message: 'expected no link above it' });
  }
  return refused;
}

/** Both travel in the manifest, which is a part of a message. */
function ofManifest({ environment = {}, labels = {} }: Recipe): Refusal[] {
  const found = JSON.stringify([environment, labels]).length;
  if (found <= MAX_SETTINGS_CHARS) return [];
  const message = `expected at most ${MAX_SETTINGS_CHARS} characters of it and of "labels" together, found ${found}`;
  return [{ path: ['environment'], message }];
}

function ofFilesystem({ format, compression, clusterKiB, freeMiB }: Recipe['filesystem']): Refusal[] {
  const refused: Refusal[] = [];
  const refuse = (member: string, message: string) => refused.push({ path: ['filesystem', member], message });
  const known = COMPRESSIONS[format];
  if (compression !== undefined && !known.includes(compression)) {
    const all = known.map((name) => `"${name}"`).join(', ');
    refuse('compression', `expected ${all} with ${format}, found "${compression}"`);
  }
  const isReadOnly = format === 'erofs' || format === 'squashfs';
  if (clusterKiB !== undefined && !isReadOnly) refuse('clusterKiB', `expected none with ${format}`);
  if (clusterKiB !== undefined && format === 'erofs' && clusterKiB > MAX_EROFS_CLUSTER_KIB)
    refuse('clusterKiB', `expected at most ${MAX_EROFS_CLUSTER_KIB} with erofs, found ${clusterKiB}`);
  if (freeMiB !== undefined && isReadOnly) refuse('freeMiB', `expected none with ${format}, which nothing writes to`);
  return refused;
}
