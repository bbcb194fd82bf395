/** Recipes as texts: reading one, their schema, and one to begin with. */
export {
  FILESYSTEMS,
  type Filesystem,
  type ReadRecipe,
  type Recipe,
  RecipeError,
  readRecipe,
  splitName,
} from '../recipe.ts';
export { recipeJsonSchema } from './json-schema.ts';
export { SCHEMA_FILE, type StarterKind, starterRecipe } from './starter.ts';
