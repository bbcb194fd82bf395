import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { REPOSITORY } from '../framework/runtime.ts';

const read = (path: string) => readFile(join(REPOSITORY, path), 'utf8');

test('ci: runs the tests as the README has them, the checks, the demo and each bench', async () => {
  const [ci, readme, packageJson] = await Promise.all([read('.ci/run'), read('README.md'), read('package.json')]);
  const commands = ci.split('\n').filter((line) => line.startsWith('npm '));
  expect(commands).toEqual([
    'npm run --silent check',
    'npm test',
    'npm run --silent demo -- --json',
    'npm run --silent bench -- boot --runs 1',
    'npm run --silent bench -- network --only lists --runs 1 --messages 5000',
  ]);
  expect(readme).toMatch(/^npm run demo\nnpm test$/m);
  const { scripts } = JSON.parse(packageJson);
  for (const part of ['types', 'lint', 'parts', 'docs']) expect(scripts['check:all']).toContain(`check:${part}`);
  expect(scripts['check:all']).toContain('lint:size');
});
