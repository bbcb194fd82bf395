import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT } from './cruise.ts';

const PENDING = '[test pending]';
const page = readFileSync(join(ROOT, 'docs/SPECIFICATION.md'), 'utf8');

interface Promised {
  id: string;
  text: string;
  paths: string[];
  /** Titles of tests that are quoted after a path. */
  titles: Array<{ path: string; title: string }>;
}

/** Rows `- **S-12** promise. — \`path\` "title of a test", \`other path\``; a row goes on in indented lines. */
function readPromises(markdown: string): Promised[] {
  const rows = markdown.matchAll(/^- \*\*(S-[^*]*)\*\*((?:.|\n(?=[ \t]+\S))*)/gm);
  return [...rows].map(([, id = '', rest = '']) => {
    const text = rest.replace(/\s+/g, ' ').trim();
    const proof = text.split(' — ').slice(1).join(' — ');
    const quoted = [...proof.matchAll(/`([^`]+)`(?:,? ["“]([^"”]+)["”])?/g)];
    const titles = quoted.flatMap(([, path = '', title]) => (title === undefined ? [] : [{ path, title }]));
    return { id, text, paths: quoted.map(([, path = '']) => path), titles };
  });
}

function faultsOf({ id, text, paths, titles }: Promised): string[] {
  const faults: string[] = [];
  if (!/^S-\d+$/.test(id)) faults.push(`${id}: not a number`);
  const pending = text.includes(PENDING);
  if (pending === paths.length > 0) faults.push(`${id}: names ${paths.length} tests, expected some or ${PENDING}`);
  for (const path of paths) {
    if (!/\.test\.ts$|\/test_\w+\.py$|^bench\/[\w-]+\.ts$/.test(path)) faults.push(`${id}: "${path}" is no test`);
    else if (!existsSync(join(ROOT, path))) faults.push(`${id}: "${path}" does not exist`);
  }
  for (const { path, title } of titles.filter((quote) => existsSync(join(ROOT, quote.path)))) {
    const source = readFileSync(join(ROOT, path), 'utf8').replace(/\\(['"`])/g, '$1');
    if (!source.includes(title)) faults.push(`${id}: no test "${title}" in "${path}"`);
  }
  return faults;
}

describe('docs/SPECIFICATION.md', () => {
  const promises = readPromises(page);

  test('promises: name tests that exist, or say that the test is pending', () => {
    expect(promises.flatMap(faultsOf)).toEqual([]);
  });

  test('promises: are numbered once each, and every row of the page is one', () => {
    const ids = promises.map(({ id }) => id);
    expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
    expect(page.match(/\*\*S-/g)?.length).toBe(promises.length);
  });

  test('promises: are refused, where their proof is not there', () => {
    const rows = readPromises(`
- **S-1** A promise that goes on
  in a second line. — \`tests/style/specification.test.ts\` "promises: name tests that exist, or say that the test is pending"
- **S-2** Nothing.
- **S-3** Both. — \`tests/style/specification.test.ts\` [test pending]
- **S-4** Absent. — \`tests/style/absent.test.ts\`
- **S-5** No test. — \`tests/style/cruise.ts\`
- **S-6** Other title. — \`tests/style/specification.test.ts\` "promises: ${'are'} kept by magic"
- **S-x** Pending. — [test pending]
`);
    expect(rows.map(({ id }) => id)).toEqual(['S-1', 'S-2', 'S-3', 'S-4', 'S-5', 'S-6', 'S-x']);
    const faulty = rows.filter((row) => faultsOf(row).length === 1).map(({ id }) => id);
    expect(faulty).toEqual(['S-2', 'S-3', 'S-4', 'S-5', 'S-6', 'S-x']);
    expect(rows[0] && faultsOf(rows[0])).toEqual([]);
  });
});
