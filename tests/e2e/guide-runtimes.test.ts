import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { followGuide } from '../framework/guides.ts';
import { startTestNode } from '../framework/node.ts';
import { REPOSITORY } from '../framework/runtime.ts';

const GUIDE = join(REPOSITORY, 'docs/guides/your-own-runtime.md');

test('guide: your own runtime in five minutes is made in each of the ways, and serves in all of them', async () => {
  await using node = await startTestNode();
  const page = await readFile(GUIDE, 'utf8');
  const { stdout, stderr } = await followGuide(page, node);
  // Each answer is the message of the day and a variable, as the runtime has them.
  const answers = [...stdout.matchAll(/^(.+)\n(GREETING=.*)$/gm)].map(([, motd, greeting]) => `${motd}, ${greeting}`);
  expect(answers, `${stdout}\n${stderr}`).toEqual([
    'A runtime of my own, GREETING=hello',
    'And more, GREETING=',
    'A runtime of my own, GREETING=from-OCI',
    'From a folder, GREETING=',
    'From a folder, GREETING=',
  ]);
  expect(stderr).toContain('unknown member, did you mean "files"?');
  expect(stdout).toMatch(/\b0 errors in /);
}, 600_000);
