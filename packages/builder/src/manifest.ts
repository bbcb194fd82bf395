import { z } from 'zod';

const interpreterSchema = z.object({ path: z.string().startsWith('/').max(4096), version: z.string().max(64) });

/**
 * What a runtime says of itself: in the STORE message that publishes it, and beside the image in the cache.
 * `format` is raised when the meaning of a field changes.
 */
export const manifestSchema = z.object({
  format: z.literal(1),
  kind: z.literal('vmlet/runtime'),
  name: z.string().min(1).max(64),
  version: z.string().max(32),
  description: z.string().max(256),
  os: z.string().max(128),
  interpreters: z.record(
    z.string().max(32),
    interpreterSchema.extend({ others: z.array(interpreterSchema).max(16).optional() }),
  ),
  filesystem: z.enum(['erofs', 'squashfs', 'ext4', 'btrfs']),
  /** Who is PID 1: the boot kit's init0, an init0 of the image's own, or what a distribution has (for instances). */
  init: z.enum(['kit', 'image', 'distribution']),
  sizeBytes: z.int().nonnegative(),
  fileHash: z.string().regex(/^[0-9a-f]{64}$/),
  /** item_hash of the STORE of what it was made from, and of the list of what is in it. */
  recipe: z.string().max(64).optional(),
  sbom: z.string().max(64).optional(),
});

export type Manifest = z.infer<typeof manifestSchema>;
