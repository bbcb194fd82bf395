import type { ImageConfig } from '../manifest.ts';
import type { Recipe } from '../schema.ts';

/** What a recipe says of how programs run in its runtime, as a manifest has it; undefined where it says nothing. */
export function configOf({ environment, user, labels }: Recipe): ImageConfig | undefined {
  if (environment === undefined && user === undefined && labels === undefined) return undefined;
  return {
    ...(environment === undefined ? {} : { env: environment }),
    ...(user === undefined ? {} : { user }),
    ...(labels === undefined ? {} : { labels }),
  };
}
