import type { Box } from '../box/index.ts';
import type { Recipe } from '../recipe.ts';

/** What each of the makers of images is told. Paths are those inside the box. */
export interface MakeIn {
  box: Box;
  tree: string;
  image: string;
  filesystem: Recipe['filesystem'];
  epochSeconds: number;
  label: string;
  uuid: string;
  signal: AbortSignal | undefined;
}

/** What a disk has no room for may show only when it is written there: the last line of a script, with the image as `$1`. */
export const SETTLED = 'sync "$1"';
