import { z } from 'zod';

const hash = z.string().regex(/^[0-9a-f]{64}$/);
const relative = z
  .string()
  .max(1024)
  .regex(/^[^/\0\n]+(\/[^/\0\n]+)*$/)
  .refine((path) => !path.split('/').some((part) => part === '..' || part === '.'))
  .refine((path) => !/^recipe\.(yaml|lock)$/.test(path));
const entry = z.object({ item_hash: z.string().max(64), file_hash: hash });

/** The files that a recipe names, each with the STORE that publishes it: a file beside the published recipe. */
export const recipeFilesSchema = z.object({
  format: z.literal(1),
  kind: z.literal('vmlet/recipe-files'),
  files: z.record(relative, entry).refine((files) => Object.keys(files).length <= 1000, 'expected at most 1000 files'),
});

/** The packages of a lock that were published with a runtime, by their SHA-256, each with its STORE. */
export const packageStoreSchema = z.object({
  format: z.literal(1),
  kind: z.literal('vmlet/packages'),
  packages: z
    .record(hash, z.string().max(64))
    .refine((packages) => Object.keys(packages).length <= 20_000, 'expected at most 20000 packages'),
});

export type RecipeFiles = z.infer<typeof recipeFilesSchema>;
export type PackageStore = z.infer<typeof packageStoreSchema>;
