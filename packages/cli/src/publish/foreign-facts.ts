import type { Manifest } from '@vmlet/builder';
import type { Context } from '../context.ts';
import { clean } from '../terminal-text.ts';

/**
 * What a manifest says of an image whose author says nothing: its system and interpreters, found by a machine of it. Of an
 * image that does not boot it says nothing either, and the author is warned.
 */
export async function foreignFacts(
  imagePath: string,
  { output, paths, signal }: Pick<Context, 'output' | 'paths' | 'signal'>,
): Promise<Partial<Pick<Manifest, 'os' | 'interpreters'>>> {
  const { describeForeignImage } = await import('@vmlet/node/images');
  output.step('Looking into the image');
  try {
    const { os, interpreters } = await describeForeignImage(imagePath, { cache: paths.cache, signal });
    const { python, node } = interpreters;
    return { os, interpreters: { ...(python ? { python } : {}), ...(node ? { node } : {}) } };
  } catch (error) {
    signal.throwIfAborted();
    const found = error instanceof Error ? error.message : String(error);
    output.warn(`nothing is known of what is in it: ${clean(found)}`);
    return {};
  }
}
