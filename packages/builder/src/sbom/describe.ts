import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { Box } from '../box/index.ts';
import { surveySchema, type TreeSurvey } from './survey-schema.ts';

/** What is looked at, and what is known of it beforehand. */
export interface DescribeOptions {
  /** Absolute paths in the tree, of files that the recipe put there. */
  added: readonly string[];
  /** Tarballs of npm that the recipe took files of, on the host. */
  tarballs: readonly { name: string; version: string; path: string }[];
  /** Packages of Debian whose files were only unpacked: nothing in the tree tells of them. */
  unpacked?: readonly { name: string; version: string; architecture: string }[] | undefined;
  signal?: AbortSignal | undefined;
}

/** Where the survey, Node, and tarballs are in the box. */
const INSIDE = '/survey';

/**
 * What a tree in a box is made of. It is looked at in the box, and no link in it is followed out of it.
 * @param tree name of its folder, in the box's work folder
 * @throws CommandFailed
 */
export async function describeTree(box: Box, tree: string, options: DescribeOptions): Promise<TreeSurvey> {
  const { added, tarballs, unpacked = [], signal } = options;
  const inBox = tarballs.map(({ name, version }, index) => ({ name, version, path: `${INSIDE}/npm/${index}.tgz` }));
  const readOnly = {
    [join(import.meta.dirname, 'inside')]: `${INSIDE}/src`,
    [process.execPath]: `${INSIDE}/node`,
    ...Object.fromEntries(tarballs.map(({ path }, index) => [path, `${INSIDE}/npm/${index}.tgz`])),
  };
  const request = JSON.stringify({ root: tree, added, tarballs: inBox, unpacked });
  const input = Readable.from([request]);
  const answer = await box.run([`${INSIDE}/node`, `${INSIDE}/src/main.ts`], { readOnly, input, signal });
  return surveySchema.parse(JSON.parse(answer));
}
