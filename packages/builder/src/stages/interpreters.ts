import { CommandFailed } from '@vmlet/host';
import type { Manifest } from '../manifest.ts';
import type { ReadRecipe } from '../recipe.ts';
import { type StageOptions, TREE, tellFailure } from './stage.ts';

/** As much of os-release as is read; it is a page. */
const MAX_RELEASE_BYTES = 65_536;
const MAX_OS_LENGTH = 128;
const MAX_VERSION_LENGTH = 64;

/** What the tree says it is; `name` where it says nothing. */
export async function osName(name: string, { box, signal }: StageOptions): Promise<string> {
  // Where a link leads, it leads in the image.
  const script = `chroot . cat /usr/lib/os-release 2>/dev/null || cat usr/lib/os-release 2>/dev/null || true`;
  const release = await box.run(['sh', '-c', `{ ${script}; } | head -c ${MAX_RELEASE_BYTES}`], {
    cwd: `/work/${TREE}`,
    signal,
  });
  const found = /^PRETTY_NAME=(["']?)(.*)\1$/m.exec(release)?.[2];
  return (found ?? name).slice(0, MAX_OS_LENGTH);
}

/**
 * Runs each interpreter of a recipe in the tree, to know its version.
 * @throws RecipeError for one that does not run
 */
export async function interpreterVersions(read: ReadRecipe, options: StageOptions): Promise<Manifest['interpreters']> {
  const { box, signal } = options;
  const versions: Manifest['interpreters'] = {};
  for (const [name, wanted] of Object.entries(read.recipe.interpreters)) {
    const versionOf = async (path: string) => {
      try {
        const printed = await box.run([path, '--version'], { root: TREE, signal });
        return { path, version: printed.trim().replace(/^\D+/, '').slice(0, MAX_VERSION_LENGTH) };
      } catch (error) {
        if (!(error instanceof CommandFailed)) throw error;
        throw tellFailure(read, { member: ['interpreters', name], what: `to run as "${path} --version"`, error });
      }
    };
    const { path, others } = typeof wanted === 'string' ? { path: wanted } : wanted;
    versions[name] = await versionOf(path);
    if (others !== undefined) versions[name].others = await Promise.all(others.map(versionOf));
  }
  return versions;
}
