/** Recipes as texts: their schema, and one to begin with. */
export { recipeJsonSchema } from './json-schema.ts';
export { SCHEMA_FILE, type StarterKind, starterRecipe } from './starter.ts';
