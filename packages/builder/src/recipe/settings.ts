import type { Manifest } from '../manifest.ts';
import type { Recipe } from '../schema.ts';

/** What a recipe says of how programs run in its runtime, and of the runtime itself, as its manifest has it. */
export function manifestSettings(recipe: Recipe): Pick<Manifest, 'config' | 'labels'> {
  const { environment, user, labels } = recipe;
  const config = { ...(environment ? { env: environment } : {}), ...(user === undefined ? {} : { user }) };
  return { ...(Object.keys(config).length > 0 ? { config } : {}), ...(labels ? { labels } : {}) };
}
