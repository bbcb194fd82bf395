import { expect, test } from 'vitest';
import { parseRecipe } from '../recipe.ts';
import { configOf } from './settings.ts';
import { EVERYTHING, GOOD } from './testing.ts';

test('configOf: is what a manifest says of programs, and nothing where the recipe says nothing', () => {
  expect(configOf(parseRecipe(GOOD, 'r.yaml'))).toBeUndefined();
  expect(configOf(parseRecipe(EVERYTHING, 'r.yaml'))).toEqual({
    env: { LANG: 'C.UTF-8' },
    user: 'app:app',
    labels: { 'org.example/team': 'web' },
  });
});
