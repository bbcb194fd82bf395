/** Recipe -> runtime image. */
export { type Box, openBox } from './box/index.ts';
export { type BuiltRuntime, ensureRuntime, findRuntime } from './build.ts';
export { DiskFull } from './disk-full.ts';
export { type MakeImageOptions, makeErofs, makeImage } from './filesystems/index.ts';
export { type ImageConfig, type Manifest, manifestSchema } from './manifest.ts';
export { type ReadRecipe, type Recipe, RecipeError, readRecipe } from './recipe.ts';
