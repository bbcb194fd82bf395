/** Recipe -> runtime image. */
export { type BuiltRuntime, ensureRuntime, findRuntime } from './build.ts';
export { makeErofs } from './filesystems/erofs.ts';
export { buildImport, type ImportedRuntime, isSource, parseSource } from './import/index.ts';
export { type ImageConfig, type Manifest, manifestSchema } from './manifest.ts';
export {
  FILESYSTEMS,
  type Filesystem,
  type ReadRecipe,
  type Recipe,
  RecipeError,
  readRecipe,
  splitName,
} from './recipe.ts';
