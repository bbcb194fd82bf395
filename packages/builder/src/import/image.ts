import type { ImageConfig } from '../manifest.ts';
import { checkBlob } from './blob.ts';
import { imageConfigOf, type OciConfig } from './config.ts';
import { refused } from './errors.ts';
import type { Layer } from './layer.ts';
import { type ImageStore, unfit } from './store.ts';

/** An image, whose documents were read and fit together; nothing was unpacked of it yet. */
export interface ReadImage {
  config: ImageConfig;
  layers: Layer[];
  /** What the image is known by: `sha256:` and that of its manifest, or of its configuration in archives of Docker. */
  digest: string;
  /** Checks the bytes of all layers. @throws ImportError for one that is damaged */
  check(): Promise<void>;
}

/** A layer as a manifest names it. */
export interface NamedLayer {
  path: string;
  /** Of its file, where the manifest says so. */
  digest?: string | undefined;
  size?: number | undefined;
}

/** Where an image can run that runs here. */
export const PLATFORM = { os: 'linux', architecture: 'amd64' } as const;

/** Puts an image together of its configuration and layers. @throws ImportError */
export async function assemble(
  store: ImageStore,
  { document, named, digest, operand }: { document: OciConfig; named: NamedLayer[]; digest: string; operand: string },
): Promise<ReadImage> {
  const { os, architecture } = document;
  if (os !== PLATFORM.os || architecture !== PLATFORM.architecture) {
    const built = `built for ${JSON.stringify(`${os}/${architecture}`)}`;
    throw refused(operand, built, `"${PLATFORM.os}/${PLATFORM.architecture}"`);
  }
  const config = imageConfigOf(document);
  if (!config.success) throw unfit('the configuration of the image', config.error);
  const diffIds = document.rootfs.diff_ids ?? [];
  if (diffIds.length !== named.length) {
    const found = `${named.length} layers, and ${diffIds.length} digests of them in its configuration`;
    throw refused(operand, found, 'one for each');
  }
  const blobs = await Promise.all(
    named.map(async (layer, index) => {
      const blob = await store.find(layer.path);
      if (blob === undefined)
        throw refused(operand, `layer ${index + 1}, "${layer.path}", is not there`, 'all of them');
      return { ...blob, operand: `layer ${index + 1}, "${layer.path}"` };
    }),
  );
  return {
    config: config.data,
    digest,
    layers: blobs.map((blob, index) => ({
      operand: blob.operand,
      open: blob.open,
      diffId: diffIds[index],
    })),
    async check() {
      for (const [index, blob] of blobs.entries()) {
        const { digest: wanted, size } = named[index] ?? {};
        if (wanted !== undefined) await checkBlob(blob, { digest: wanted, size });
      }
    },
  };
}
