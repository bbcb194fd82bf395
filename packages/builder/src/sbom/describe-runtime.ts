import { access } from 'node:fs/promises';
import { writeFileAtomic } from '@vmlet/host';
import type { Box } from '../box/index.ts';
import type { Manifest } from '../manifest.ts';
import type { Recipe } from '../recipe.ts';
import { describeTree } from './describe.ts';
import { type Facts, factsOf, kernelNeeds } from './facts.ts';
import { spdxDocument, spdxText } from './spdx.ts';

/** A package of a lock, as far as the list of what is in an image wants it. */
interface Hashed {
  name: string;
  version: string;
  architecture: string;
  sha256: string;
}

export interface DescribeRuntimeOptions {
  /** Name of the tree in the box's work folder. */
  tree: string;
  recipe: Pick<Recipe, 'filesystem' | 'init' | 'files' | 'npm'> &
    Partial<Pick<Recipe, 'variant' | 'distribution' | 'suite'>>;
  /** Packages of the distribution as they were checked before they were installed. */
  packages?: readonly Hashed[];
  /** Tarballs of npm that the recipe took files of, on the host. */
  tarballs?: readonly { name: string; version: string; path: string }[];
  /** What builds it, such as `vmlet-builder-3`. */
  builder: string;
  signal?: AbortSignal | undefined;
}

/** What is said of a runtime, beside what its recipe says. */
export interface RuntimeDescription {
  /** Members of its manifest. */
  facts: Facts & Pick<Manifest, 'kernel' | 'builder'>;
  /** The list of what is in it, for its whole manifest: text of SPDX. */
  sbomOf(manifest: Manifest): string;
}

/**
 * Looks at a tree that becomes an image, in its box.
 * @throws CommandFailed
 */
export async function describeRuntime(box: Box, options: DescribeRuntimeOptions): Promise<RuntimeDescription> {
  const { tree, recipe, packages = [], tarballs = [], builder, signal } = options;
  const added = (recipe.files ?? []).map(({ path }) => path);
  const { variant, distribution, suite } = recipe;
  const unpacked = variant === 'extract' ? packages.map(({ sha256: _, ...one }) => one) : undefined;
  const survey = await describeTree(box, tree, { added, tarballs, unpacked, signal });
  // What is only unpacked may call itself anything: its packages are the distribution's all the same.
  const origin = unpacked === undefined ? undefined : { distribution, release: suite };
  const byName = new Map(packages.map((one) => [keyOf(one), one.sha256]));
  const npm = new Map((recipe.npm ?? []).map((one) => [`${one.package}@${one.version}`, one.integrity]));
  const sha512Of = ({ name, version }: { name: string; version: string }) => {
    const integrity = npm.get(`${name}@${version}`)?.replace(/^sha512-/, '');
    return integrity === undefined ? undefined : Buffer.from(integrity, 'base64').toString('hex');
  };
  return {
    facts: { ...factsOf(survey), kernel: kernelNeeds(recipe), builder },
    sbomOf: ({ name, version, filesystem, fileHash, epoch = 0 }) =>
      spdxText(
        spdxDocument(survey, {
          ...{ name, version, filesystem, fileHash, epochSeconds: epoch, builder },
          origin,
          ...{ sha256Of: (installed) => byName.get(keyOf(installed)), sha512Of },
        }),
      ),
  };
}

function keyOf({ name, version, architecture }: Omit<Hashed, 'sha256'>): string {
  return `${name} ${version} ${architecture}`;
}

/** Where the list of what is in an image is kept: beside its record. */
export function sbomPathOf(recordPath: string): string {
  return recordPath.replace(/\.json$/, '.spdx.json');
}

/** Writes the list beside the record. @returns its path */
export async function writeSbom(recordPath: string, text: string): Promise<string> {
  const path = sbomPathOf(recordPath);
  await writeFileAtomic(path, text);
  return path;
}

/** Its path, where there is one: those that older builders made have none. */
export async function findSbom(recordPath: string): Promise<string | undefined> {
  const path = sbomPathOf(recordPath);
  return await access(path).then(
    () => path,
    () => undefined,
  );
}
