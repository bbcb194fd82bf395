import { z } from 'zod';

const interpreterSchema = z.object({ path: z.string().startsWith('/').max(4096), version: z.string().max(64) });
const itemHashSchema = z.string().max(64);

/** How an OCI image is started; what its author set, and nothing in the place of what was not. */
export const imageConfigSchema = z
  .object({
    entrypoint: z.array(z.string().max(4096)).max(64).optional(),
    cmd: z.array(z.string().max(4096)).max(64).optional(),
    env: z.record(z.string().max(128), z.string().max(4096)).optional(),
    workdir: z.string().max(4096).optional(),
    /** As it is written in the image: a name or a number, and a group behind a colon. */
    user: z.string().max(256).optional(),
    /** As OCI has them: `8080/tcp`. */
    exposedPorts: z.array(z.string().max(32)).max(64).optional(),
    labels: z.record(z.string().max(256), z.string().max(4096)).optional(),
    /** Such as `SIGQUIT`. */
    stopSignal: z.string().max(32).optional(),
  })
  .refine((config) => JSON.stringify(config).length <= 16_384, 'expected at most 16384 characters of JSON');

/** What is known of the content; each member is missing where nothing found it out. */
const factsShape = {
  /** Members of os-release that tell systems apart, such as `ID` and `VERSION_ID`. */
  osRelease: z
    .record(z.string().regex(/^[A-Z][A-Z0-9_]{0,31}$/), z.string().max(256))
    .refine((members) => Object.keys(members).length <= 32, 'expected at most 32 members')
    .optional(),
  packages: z.object({ manager: z.enum(['dpkg', 'apk', 'rpm', 'none']), count: z.int().nonnegative() }).optional(),
  /** Of these, those that say that they take the most. */
  largestPackages: z
    .array(z.object({ name: z.string().max(256), version: z.string().max(256), installedBytes: z.int().nonnegative() }))
    .max(10)
    .optional(),
  /** What the kernel that boots it has to have: modules by name, and the oldest version that will do. */
  kernel: z.object({ modules: z.array(z.string().max(64)).max(32), minVersion: z.string().max(32) }).optional(),
  /** Bytes of all files of the tree, each counted once; `sizeBytes` is the image's. */
  unpackedBytes: z.int().nonnegative().optional(),
  /** No file is newer, in seconds since 1970. */
  epoch: z.int().nonnegative().optional(),
  /** What built it, such as `vmlet 3`. */
  builder: z.string().max(64).optional(),
  config: imageConfigSchema.optional(),
};

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
  ...factsShape,
  /** item_hash of the STORE of what it was made from, of what that resolved to, and of the list of what is in it. */
  recipe: itemHashSchema.optional(),
  lock: itemHashSchema.optional(),
  sbom: itemHashSchema.optional(),
  /** item_hash of the STOREs of the list of files that the recipe names, and of that of packages published with it. */
  recipeFiles: itemHashSchema.optional(),
  packageStore: itemHashSchema.optional(),
});

export type Manifest = z.infer<typeof manifestSchema>;
/** How a program of an OCI image is started. */
export type ImageConfig = z.infer<typeof imageConfigSchema>;
