import { z } from 'zod';

// Rules are patterns as far as they go: those are in the schema for editors, too.
const absolutePattern = z
  .string()
  .regex(/^\/[^\0\n]*$/, 'expected a pattern that begins with "/"')
  .max(4096);
/** It becomes a word of the shell. */
const shellPattern = absolutePattern
  .regex(/^[^\s"'`$;&|<>()\\#!]*$/, 'expected a path with nothing of the shell in it but "*", "?", "[", "]", "{", "}"')
  .regex(/^(?!.*\.\.)/, 'expected a path without ".."');
const absolutePath = z
  .string()
  .regex(/^(\/[^/\0\n]+)+$/, 'expected an absolute path without a slash at its end')
  .regex(/^(?!.*\/\.\.?(\/|$))/, 'expected a path without "." and ".."')
  .max(4096);
/** `.` is all of a package. */
const insidePackage = z
  .string()
  .regex(/^(\.|[^/\0\n]+(\/[^/\0\n]+)*)$/, 'expected a relative path, without a slash at its ends')
  .regex(/^(?!(.*\/)?\.\.(\/|$))/, 'expected a path without ".."')
  .max(4096);
const mode = z.string().regex(/^[0-7]{4}$/, 'expected four octal digits in quotes, such as "0755"');

const npmPackageSchema = z.strictObject({
  package: z
    .string()
    .regex(/^(@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~][a-z0-9._~-]*$/, 'expected the name of a package of npm'),
  version: z.string().regex(/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/, 'expected one exact version, such as 24.21.0'),
  integrity: z.string().regex(/^sha512-[A-Za-z0-9+/]{86}==$/, 'expected "sha512-" and 88 characters of base64'),
  copy: z.array(z.strictObject({ from: insidePackage, to: absolutePath })).min(1),
});

const fileSchema = z
  .strictObject({
    path: absolutePath,
    mode: mode.optional(),
    content: z.string().optional(),
    source: insidePackage.optional(),
    concat: shellPattern.optional(),
  })
  .refine(
    ({ content, source, concat }) => [content, source, concat].filter((value) => value !== undefined).length === 1,
    'expected one of "content", "source" and "concat"',
  )
  .meta({ oneOf: [{ required: ['content'] }, { required: ['source'] }, { required: ['concat'] }] });

const interpreterSchema = z.union([
  absolutePath,
  z.strictObject({ path: absolutePath, others: z.array(absolutePath).max(16).optional() }),
]);

const environmentSchema = z
  .record(
    z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'expected a name of letters, digits and "_"')
      .max(128),
    z
      .string()
      .max(4096)
      .regex(/^[^\0]*$/, 'expected text without NUL'),
  )
  .refine((all) => Object.keys(all).length <= 128, 'expected at most 128 variables')
  .meta({ maxProperties: 128 });

const mirrorUrl = z
  .string()
  .max(1024)
  .regex(/^https?:\/\/[^\s@[\]"']+$/, 'expected a URL of http or https, without user and password');
const mirrorSchema = z.union([
  mirrorUrl.transform((url): { url: string; keyring?: string | undefined } => ({ url })),
  z.strictObject({ url: mirrorUrl, keyring: insidePackage.optional() }),
]);

const commands = z
  .string()
  .min(1)
  .max(65_536)
  .regex(/^[^\0]*$/, 'expected text without NUL');
const runSchema = z.union([
  commands.transform((run): { run: string; env?: Record<string, string> | undefined } => ({ run })),
  z.strictObject({ run: commands, env: environmentSchema.optional() }),
]);

const filesystemMembers = {
  format: z.enum(['erofs', 'squashfs', 'ext4', 'btrfs']),
  compression: z.enum(['none', 'lz4', 'lz4hc', 'gzip', 'xz', 'zstd']),
  clusterKiB: z.literal([4, 8, 16, 32, 64, 128, 256, 512, 1024]),
  maxSizeMiB: z.int().positive().max(4096),
  freeMiB: z.int().nonnegative().max(4096),
};

const PUBLISHED = [
  '[0-9a-f]{64}', // SHA-256
  'Qm[1-9A-HJ-NP-Za-km-z]{44}', // CID, version 0
  'b[a-z2-7]{58}', // CID, version 1
  '(0x[0-9a-fA-F]{40}|[1-9A-HJ-NP-Za-km-z]{32,64})/[a-z0-9][a-z0-9.-]{0,62}(@[^\\s/@]{1,32})?',
  '[a-z0-9][a-z0-9.-]{0,62}(@[^\\s/@]{1,32})?',
];
/** Shown in lists and on terminals. */
const ONE_LINE = /^\P{Cc}*$/u;
/** `./` and `../` say that it is a path, as in imports. */
const FOLDER = '\\.\\.?(/[^/\\0\\n]+)*';
const basePattern = new RegExp(`^(${FOLDER}|${PUBLISHED.join('|')})$`);
const BASE = 'expected a folder that begins with "./" or "../", or what names a published runtime';

/** What each member may be: one table for a file as it is written and for a recipe as it is understood. */
const members = {
  format: z.literal(1),
  name: z
    .string()
    .regex(
      /^[a-z0-9][a-z0-9.-]{0,62}$/,
      'expected 1 to 63 lowercase letters, digits, "." and "-", a letter or digit first',
    ),
  extends: z.string().regex(basePattern, BASE),
  version: z.string().min(1).max(32).regex(ONE_LINE, 'expected one line of text'),
  description: z.string().max(256).regex(ONE_LINE, 'expected one line of text'),
  labels: z
    .record(
      z
        .string()
        .regex(/^[a-z0-9][a-z0-9._/-]{0,127}$/, 'expected a key of lowercase letters, digits, ".", "_", "/" and "-"'),
      z.string().max(256).regex(ONE_LINE, 'expected one line of text'),
    )
    .refine((labels) => Object.keys(labels).length <= 32, 'expected at most 32 labels')
    .meta({ maxProperties: 32 }),
  distribution: z.enum(['debian', 'ubuntu']),
  suite: z.string().regex(/^[a-z0-9-]+$/, 'expected the code name of a release, such as bookworm'),
  components: z
    .array(z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'expected the name of a component, such as main'))
    .min(1)
    .max(16),
  architecture: z.literal('amd64'),
  variant: z.enum(['extract', 'essential', 'apt', 'minbase']),
  mirrors: z.array(mirrorSchema).min(1).max(16),
  keyring: insidePackage,
  packages: z
    .array(z.string().regex(/^[a-z0-9][a-z0-9+.-]+$/, 'expected the name of a package of the distribution'))
    .max(500),
  exclude: z.array(absolutePattern).max(500),
  include: z.array(absolutePattern).max(500),
  remove: z.array(shellPattern).max(500),
  npm: z.array(npmPackageSchema).max(100),
  files: z.array(fileSchema).max(500),
  links: z.record(absolutePath, z.string().min(1).max(4095)),
  directories: z.record(absolutePath, mode),
  applets: absolutePath,
  run: z.array(runSchema).max(100),
  environment: environmentSchema,
  user: z
    .string()
    .max(65)
    .regex(
      /^([a-z_][a-z0-9_-]{0,31}|\d{1,9})(:([a-z_][a-z0-9_-]{0,31}|\d{1,9}))?$/,
      'expected a user of the image, or user:group, by name or by number in quotes',
    ),
  interpreters: z.partialRecord(z.enum(['python', 'node']), interpreterSchema),
  init: z.enum(['kit', 'image', 'distribution']),
};

const filesystemFileSchema = z.strictObject({
  format: filesystemMembers.format.optional(),
  compression: filesystemMembers.compression.optional(),
  clusterKiB: filesystemMembers.clusterKiB.optional(),
  maxSizeMiB: filesystemMembers.maxSizeMiB.optional(),
  freeMiB: filesystemMembers.freeMiB.optional(),
});

/** A recipe's file: what is missing may come from what it extends, or has a default. */
export const recipeFileSchema = z.strictObject({
  ...z.object(members).partial().shape,
  format: members.format,
  name: members.name,
  filesystem: filesystemFileSchema.optional(),
});

/** What a filesystem is compressed with where the recipe does not say; others are not. */
const USUAL_COMPRESSION = { erofs: 'lz4hc', squashfs: 'zstd' } as const;
/** Without `filesystem`, and for each of its members that is not said. */
const DEFAULT_MAX_SIZE_MIB = 1024;

/** The filesystem of an image, with what is usual where nothing is said. */
export const filesystemSchema = z
  .strictObject({
    format: filesystemMembers.format.default('erofs'),
    compression: filesystemMembers.compression.optional(),
    clusterKiB: filesystemMembers.clusterKiB.optional(),
    maxSizeMiB: filesystemMembers.maxSizeMiB.default(DEFAULT_MAX_SIZE_MIB),
    freeMiB: filesystemMembers.freeMiB.optional(),
  })
  .transform((filesystem) => {
    const { format, compression = { ext4: undefined, btrfs: undefined, ...USUAL_COMPRESSION }[format] } = filesystem;
    return compression === undefined ? filesystem : { ...filesystem, compression };
  });

/**
 * A recipe with what it extends merged into it. Members that came later have no default where an image's inputs would
 * change by it: their hash is the cache's key.
 */
export const recipeSchema = z.strictObject({
  format: members.format,
  name: members.name,
  version: members.version.default('1'),
  description: members.description.default(''),
  /** What names a published runtime; a folder of another recipe is merged in, and gone. */
  extends: members.extends.optional(),
  labels: members.labels.optional(),
  /** `custom` as in mkosi: no package of a distribution is installed, only with `extends`. */
  distribution: z.enum(['debian', 'ubuntu', 'custom']),
  suite: members.suite,
  components: members.components.optional(),
  architecture: members.architecture.default('amd64'),
  variant: members.variant.default('minbase'),
  mirrors: members.mirrors.optional(),
  keyring: members.keyring.optional(),
  packages: members.packages.default([]),
  exclude: members.exclude.default([]),
  include: members.include.default([]),
  remove: members.remove.default([]),
  npm: members.npm.optional(),
  files: members.files.optional(),
  links: members.links.optional(),
  directories: members.directories.optional(),
  applets: members.applets.optional(),
  run: members.run.optional(),
  environment: members.environment.optional(),
  user: members.user.optional(),
  interpreters: members.interpreters.default({}),
  init: members.init.default('kit'),
  filesystem: filesystemSchema.prefault({}),
});

/** A runtime's recipe: what is installed, what is left out, and the filesystem it becomes. */
export type Recipe = z.infer<typeof recipeSchema>;
export type NpmPackage = z.infer<typeof npmPackageSchema>;
