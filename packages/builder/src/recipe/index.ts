/** Recipes as texts: reading one, their schema, and one to begin with. */
export {
  type ReadRecipe,
  type Recipe,
  RecipeError,
  readRecipe,
} from '../recipe.ts';
export { recipeJsonSchema } from './json-schema.ts';
export { SCHEMA_FILE, type StarterKind, starterRecipe } from './starter.ts';
