/** What of a build is published beside its image, so that others can build it again and compare. */
export { differingFiles } from '../differing-files.ts';
export { keptPath } from '../packages/fetch.ts';
export { type Lock, parseLock, readLock } from '../packages/lock.ts';
export { type PackageStore, type RecipeFiles, recipeFilesSchema } from './lists.ts';
export { type PortableRecipe, portableRecipe } from './portable-recipe.ts';
