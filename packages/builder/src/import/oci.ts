import { z } from 'zod';
import { parseDigest } from './blob.ts';
import { ociConfigSchema } from './config.ts';
import { refused } from './errors.ts';
import { assemble, PLATFORM, type ReadImage } from './image.ts';
import { type ImageStore, readDocument } from './store.ts';

const platformSchema = z.object({ os: z.string(), architecture: z.string(), variant: z.string().nullish() });

const descriptorSchema = z.object({
  mediaType: z.string().nullish(),
  digest: z.string(),
  size: z.int().nonnegative(),
  annotations: z.record(z.string(), z.string()).nullish(),
  platform: platformSchema.nullish(),
});
type Descriptor = z.infer<typeof descriptorSchema>;

const layoutSchema = z.object({ imageLayoutVersion: z.literal('1.0.0') });
const indexSchema = z.object({ schemaVersion: z.literal(2), manifests: z.array(descriptorSchema).max(1000) });
const manifestSchema = z.object({
  schemaVersion: z.literal(2),
  config: descriptorSchema,
  layers: z.array(descriptorSchema).max(1000),
});

const REF_NAME = 'org.opencontainers.image.ref.name';
const INDEX_TYPES = new Set([
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
]);
const MANIFEST_TYPES = new Set([
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
]);
const CONFIG_TYPES = new Set([
  'application/vnd.oci.image.config.v1+json',
  'application/vnd.docker.container.image.v1+json',
]);
/** Layers as tars, whatever packs them; encrypted ones are none. */
const LAYER_TYPE =
  /^application\/vnd\.(oci\.image\.layer\.(nondistributable\.)?v1\.tar(\+gzip|\+zstd)?|docker\.image\.rootfs\.(foreign\.)?diff\.tar(\.gzip|\.zstd)?)$/;
/** Indexes in indexes. */
const MAX_NESTING = 4;

/** Whether there is an OCI layout in a store. */
export async function isOciLayout(store: ImageStore): Promise<boolean> {
  return (await store.find('index.json')) !== undefined;
}

/**
 * Reads an image of an OCI image layout (image-spec, image-layout.md): the one with a tag, or the only one, for this
 * platform where there are several.
 * @throws ImportError
 */
export async function readOciLayout(store: ImageStore, tag: string | undefined): Promise<ReadImage> {
  await readDocument(await fileOf(store, 'oci-layout'), layoutSchema);
  const { manifests } = await readDocument(await fileOf(store, 'index.json'), indexSchema);
  const operand = tag === undefined ? 'the image' : `the image ${JSON.stringify(tag)}`;
  const chosen = await manifestOf(store, tagged(manifests, tag), { operand, depth: 0 });
  const manifest = await readDocument(await blobOf(store, chosen), manifestSchema, { digest: chosen.digest });
  if (!CONFIG_TYPES.has(manifest.config.mediaType ?? '')) {
    const found = `its configuration is of the type ${JSON.stringify(manifest.config.mediaType)}`;
    throw refused(operand, found, 'the configuration of an image that can run');
  }
  const { config, layers } = manifest;
  const odd = layers.find(({ mediaType }) => !LAYER_TYPE.test(mediaType ?? ''));
  if (odd !== undefined)
    throw refused(
      operand,
      `a layer of the type ${JSON.stringify(odd.mediaType)}`,
      'layers that are a tar, not encrypted',
    );
  return await assemble(store, {
    document: await readDocument(await blobOf(store, config), ociConfigSchema, { digest: config.digest }),
    named: layers.map(({ digest, size }) => ({ path: blobPath(digest), digest, size })),
    digest: chosen.digest,
    operand,
  });
}

/** Those with a tag, or all. @throws ImportError that lists the tags there are */
function tagged(manifests: readonly Descriptor[], tag: string | undefined): readonly Descriptor[] {
  const nameOf = ({ annotations }: Descriptor) => annotations?.[REF_NAME];
  const names = [...new Set(manifests.map(nameOf).filter((name) => name !== undefined))];
  const listed = names.map((name) => JSON.stringify(name)).join(', ') || 'no tags at all';
  if (tag === undefined) {
    if (names.length > 1) throw refused('the image', `several tags: ${listed}`, 'one of them, behind a colon');
    return manifests;
  }
  const found = manifests.filter((manifest) => nameOf(manifest) === tag);
  if (found.length > 0) return found;
  throw refused(`the image ${JSON.stringify(tag)}`, `no such tag in the layout`, `one of ${listed}`);
}

/** Down to the manifest for this platform. @throws ImportError that lists what there is */
async function manifestOf(
  store: ImageStore,
  manifests: readonly Descriptor[],
  { operand, depth }: { operand: string; depth: number },
): Promise<Descriptor> {
  // What only attests to another one, as builders add it, has a platform that does not exist.
  const real = manifests.filter(({ platform }) => platform?.os !== 'unknown');
  const fitting = real.filter(
    ({ platform }) => platform?.os === PLATFORM.os && platform.architecture === PLATFORM.architecture,
  );
  const wanted = fitting.length > 0 ? fitting : real.filter(({ platform }) => platform == null);
  const [chosen] = wanted;
  if (chosen === undefined) {
    const there = real.map(({ platform }) => platformName(platform)).join(', ') || 'nothing';
    throw refused(operand, `none for this platform, but for ${there}`, `"${PLATFORM.os}/${PLATFORM.architecture}"`);
  }
  const kinds = new Set(wanted.map(({ digest }) => digest));
  if (kinds.size > 1 && fitting.length === 0)
    throw refused(operand, `${kinds.size} images without a tag or platform`, 'one, or a tag behind a colon');
  if (INDEX_TYPES.has(chosen.mediaType ?? '')) {
    if (depth >= MAX_NESTING) throw refused(operand, `indexes in more than ${MAX_NESTING} indexes`, 'fewer');
    const index = await readDocument(await blobOf(store, chosen), indexSchema, { digest: chosen.digest });
    return await manifestOf(store, index.manifests, { operand, depth: depth + 1 });
  }
  if (MANIFEST_TYPES.has(chosen.mediaType ?? '')) return chosen;
  throw refused(
    operand,
    `a manifest of the type ${JSON.stringify(chosen.mediaType)}`,
    'an image or an index of images',
  );
}

function platformName(platform: Descriptor['platform']): string {
  if (platform == null) return 'an unnamed one';
  const { os, architecture, variant } = platform;
  return JSON.stringify([os, architecture, ...(variant == null ? [] : [variant])].join('/'));
}

function blobPath(digest: string): string {
  const { algorithm, hex } = parseDigest(digest, 'the image');
  return `blobs/${algorithm}/${hex}`;
}

async function blobOf(store: ImageStore, { digest, size }: Descriptor) {
  const blob = await fileOf(store, blobPath(digest));
  if (blob.size !== size) throw refused(blob.operand, `${blob.size} bytes`, `${size}, as its descriptor says`);
  return blob;
}

async function fileOf(store: ImageStore, path: string) {
  const blob = await store.find(path);
  if (blob === undefined) throw refused('the image', `no "${path}"`, 'an OCI image layout');
  return blob;
}
