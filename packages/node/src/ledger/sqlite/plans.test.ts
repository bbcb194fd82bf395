import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openDatabase } from '../../store/index.ts';
import { SINCE } from './message-statements.ts';

test('processedSince: reads a page by the order it is in, however many messages there are', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  const database = openDatabase(join(dir.path, 'node.db'));
  try {
    const plan = database.prepare<[number, number], { detail: string }>(`EXPLAIN QUERY PLAN ${SINCE}`).all(0, 1);
    expect(plan.map(({ detail }) => detail)).toEqual([expect.stringMatching(/^SEARCH .*\(processed_seq>\?\)$/)]);
  } finally {
    database.close();
  }
});
