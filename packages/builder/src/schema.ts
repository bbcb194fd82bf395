import { z } from 'zod';

const NO_DOTS = 'must not contain ".."';
const absolutePattern = z.string().startsWith('/').max(4096);
const absolutePath = z
  .string()
  .regex(/^(\/[^/\0\n]+)+$/, 'expected an absolute path without a slash at its end')
  .max(4096)
  .refine((path) => !path.split('/').some((part) => part === '..' || part === '.'), NO_DOTS);
/** `.` is all of a package. */
const insidePackage = z
  .string()
  .regex(/^(\.|[^/\0\n]+(\/[^/\0\n]+)*)$/, 'expected a path inside the package')
  .refine((path) => !path.split('/').includes('..'), NO_DOTS);
const mode = z.string().regex(/^[0-7]{4}$/, 'expected four octal digits, such as "0755"');

const npmPackageSchema = z.strictObject({
  package: z.string().regex(/^(@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~][a-z0-9._~-]*$/),
  version: z.string().regex(/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/, 'expected one exact version'),
  integrity: z.string().regex(/^sha512-[A-Za-z0-9+/]{86}==$/, 'expected "sha512-" and 88 characters of base64'),
  copy: z.array(z.strictObject({ from: insidePackage, to: absolutePath })).min(1),
});

const fileSchema = z
  .strictObject({
    path: absolutePath,
    mode: mode.optional(),
    content: z.string().optional(),
    source: insidePackage.optional(),
    concat: absolutePattern.refine((path) => !path.includes('..'), NO_DOTS).optional(),
  })
  .refine(
    ({ content, source, concat }) => [content, source, concat].filter((value) => value !== undefined).length === 1,
    'expected one of "content", "source" and "concat"',
  );

const interpreterSchema = z.union([
  absolutePath,
  z.strictObject({ path: absolutePath, others: z.array(absolutePath).max(16).optional() }),
]);

/** Members that may be missing have no default where an image's inputs would change by it: its hash is the cache's key. */
export const recipeSchema = z
  .strictObject({
    format: z.literal(1),
    name: z.string().regex(/^[a-z0-9][a-z0-9.-]{0,62}$/),
    version: z.string().min(1).max(32),
    description: z.string().max(256),
    distribution: z.literal('debian'),
    suite: z.string().regex(/^[a-z0-9-]+$/),
    architecture: z.literal('amd64'),
    variant: z.enum(['extract', 'essential', 'apt', 'minbase']),
    packages: z.array(z.string().regex(/^[a-z0-9][a-z0-9+.-]+$/)).max(500),
    exclude: z.array(absolutePattern).default([]),
    include: z.array(absolutePattern).default([]),
    remove: z.array(absolutePattern.refine((path) => !path.includes('..'), NO_DOTS)).default([]),
    npm: z.array(npmPackageSchema).max(100).optional(),
    files: z.array(fileSchema).max(500).optional(),
    links: z.record(absolutePath, z.string().min(1).max(4095)).optional(),
    directories: z.record(absolutePath, mode).optional(),
    applets: absolutePath.optional(),
    interpreters: z.partialRecord(z.enum(['python', 'node']), interpreterSchema),
    init: z.enum(['kit', 'image']),
    filesystem: z.strictObject({
      format: z.literal('erofs'),
      compression: z.enum(['none', 'lz4', 'lz4hc']),
      clusterKiB: z.literal([4, 8, 16, 32, 64]).optional(),
      maxSizeMiB: z.int().positive().max(4096),
    }),
  })
  .superRefine((recipe, context) => {
    const refuse = (path: (string | number)[], message: string) => context.addIssue({ code: 'custom', path, message });
    if (recipe.variant === 'extract') {
      for (const member of ['include', 'remove'] as const)
        if (recipe[member].length > 0) refuse([member], 'expected none with variant "extract"');
    } else {
      for (const member of ['directories', 'applets'] as const)
        if (recipe[member] !== undefined) refuse([member], 'expected it with variant "extract" only');
      for (const [index, file] of (recipe.files ?? []).entries())
        if (file.concat !== undefined) refuse(['files', index, 'concat'], 'expected it with variant "extract" only');
    }
    // Once the files are in, nothing may take their place: what `remove` removes is the author's own business.
    const taken = [...Object.keys(recipe.links ?? {}), ...(recipe.files ?? []).map(({ path }) => path)];
    if (recipe.init === 'image' && taken.includes('/sbin/init'))
      refuse(['init'], 'expected nothing at "/sbin/init" with "image", which puts init0 there');
    // What is below a link would be written where the link leads to, on the building machine.
    const links = Object.keys(recipe.links ?? {});
    for (const path of links)
      if (links.some((link) => path.startsWith(`${link}/`))) refuse(['links', path], 'expected no link above it');
  });

/** A runtime's recipe: what is installed, what is left out, and the filesystem it becomes. */
export type Recipe = z.infer<typeof recipeSchema>;
export type NpmPackage = z.infer<typeof npmPackageSchema>;
