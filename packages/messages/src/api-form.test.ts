import { describe, expect, test } from 'vitest';
import { readApiMessage } from './api-form.ts';
import { itemHashOf } from './item-hash.ts';
import { referenceMessages } from './testing.ts';

const rows = new Map(referenceMessages());

describe('readApiMessage', () => {
  test.each(referenceMessages())('readApiMessage: reads envelope and content, when the row is %s', (_name, row) => {
    const { envelope, content } = readApiMessage(row);
    expect(content).toMatchObject({ address: row.sender });
    if (typeof row.item_content === 'string') expect(itemHashOf(row.item_content)).toBe(row.item_hash);
    expect(envelope).not.toHaveProperty('content');
  });

  test('readApiMessage: finds one of each type, when it reads the reference rows', () => {
    const types = new Set([...rows.values()].map((row) => readApiMessage(row).envelope.type));
    expect([...types].toSorted()).toEqual(['AGGREGATE', 'FORGET', 'INSTANCE', 'POST', 'PROGRAM', 'STORE']);
  });

  test('readApiMessage: writes the signature as text, when the row has the object', () => {
    const { envelope, confirmations } = readApiMessage(rows.get('post-sol'));
    expect(JSON.parse(envelope.signature)).toEqual(rows.get('post-sol')?.signature);
    expect(confirmations[0]?.height).toBe(24639270);
  });

  test('readApiMessage: reads the same from content, when item_content is left out', () => {
    const row = rows.get('program') ?? {};
    const fromText = readApiMessage(row).content;
    expect(readApiMessage({ ...row, item_content: null }).content).toEqual(fromText);
  });

  test('readApiMessage: has no content, when the message was forgotten', () => {
    const row = { ...rows.get('post'), item_content: null, content: null, forgotten_by: ['x'] };
    expect(readApiMessage(row).content).toBeUndefined();
  });

  test.each(['2025-11-07T11:37:11.653Z', '2025-11-07T11:37:11.653', '2025-11-07T12:37:11.653+01:00'])(
    'readApiMessage: reads seconds, when time is %s',
    (time) => {
      expect(readApiMessage({ ...rows.get('post'), time }).envelope.time).toBe(1762515431.653);
    },
  );

  test('readApiMessage: refuses the row, when item_content does not hash to its name', () => {
    const row = rows.get('post');
    expect(() => readApiMessage({ ...row, item_content: `${row?.item_content} ` })).toThrow('hashes to');
  });

  test('readApiMessage: names the member, when time is neither number nor ISO text', () => {
    expect(() => readApiMessage({ ...rows.get('post'), time: 'soon' })).toThrow('"$.time" is "soon", expected');
  });
});
