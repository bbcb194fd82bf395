import { createHash } from 'node:crypto';
import { z } from 'zod';
import { readBlob } from './blob.ts';
import { ociConfigSchema } from './config.ts';
import { refused } from './errors.ts';
import { assemble, type ReadImage } from './image.ts';
import { IMPORT_LIMITS } from './limits.ts';
import { type ImageStore, readDocument } from './store.ts';

const manifestSchema = z
  .array(
    z.object({
      Config: z.string(),
      RepoTags: z.array(z.string()).nullish(),
      Layers: z.array(z.string()).max(1000).nullish(),
    }),
  )
  .max(1000);
const MANIFEST = 'manifest.json';

/** Whether there is what `docker save` writes in a store. */
export async function isDockerArchive(store: ImageStore): Promise<boolean> {
  return (await store.find(MANIFEST)) !== undefined;
}

/**
 * Reads an image of an archive that `docker save` wrote: the one with a tag, or the only one. Its layers are checked by
 * the digests in its configuration, and that by its name where this is a digest.
 * @throws ImportError
 */
export async function readDockerArchive(store: ImageStore, tag: string | undefined): Promise<ReadImage> {
  const manifest = await store.find(MANIFEST);
  if (manifest === undefined) throw refused('the image', `no "${MANIFEST}"`, 'what "docker save" writes');
  const images = await readDocument(manifest, manifestSchema);
  const tags = images.flatMap(({ RepoTags }) => RepoTags ?? []);
  const listed = tags.map((name) => JSON.stringify(name)).join(', ') || 'no tags at all';
  const operand = tag === undefined ? 'the image' : `the image ${JSON.stringify(tag)}`;
  const found = images.filter(({ RepoTags }) => tag === undefined || isTagged(RepoTags ?? [], tag));
  const [chosen] = found;
  if (chosen === undefined) throw refused(operand, 'no such tag in the archive', `one of ${listed}`);
  if (found.length > 1) throw refused(operand, `several: ${listed}`, 'one of them, behind a colon');
  const config = await store.find(chosen.Config);
  if (config === undefined) throw refused(operand, `no ${JSON.stringify(chosen.Config)}`, 'its configuration');
  const named = /([0-9a-f]{64})(\.json)?$/.exec(chosen.Config)?.[1];
  const digest = named === undefined ? undefined : `sha256:${named}`;
  const bytes = await readBlob(config, { maxBytes: IMPORT_LIMITS.documentBytes });
  return await assemble(store, {
    document: await readDocument(config, ociConfigSchema, { digest }),
    named: (chosen.Layers ?? []).map((path) => ({ path })),
    digest: digest ?? `sha256:${createHash('sha256').update(bytes).digest('hex')}`,
    operand,
  });
}

/** A tag may be told without what stands for the registry by default. */
function isTagged(tags: readonly string[], wanted: string): boolean {
  return tags.some(
    (tag) => tag === wanted || tag.endsWith(`/${wanted}`) || tag.slice(tag.lastIndexOf(':') + 1) === wanted,
  );
}
