import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { MESSAGE_ERRORS, MessageError, type MessageErrorCode } from './errors.ts';

const codes = Object.keys(MESSAGE_ERRORS) as MessageErrorCode[];

describe('MESSAGE_ERRORS', () => {
  test.each(codes)('MESSAGE_ERRORS: words %s as the house does, when rendered', (code) => {
    const error = new MessageError(code, { operand: 'OPERAND', path: '$.p', found: 'FOUND', expected: 'WANTED' });
    expect(error.message).toMatch(/^Cannot [a-z]+ .+: .+, expected .+[^.]$/);
    expect(error.message).not.toMatch(/[{}?]|\bInvalid\b|n't\b/);
    expect(error.entry.hint).toMatch(/^[A-Z].*[^.]$/);
    expect(error.code).toBe(code);
  });

  test('MESSAGE_ERRORS: stands on the page of the format, when compared with it', () => {
    const page = readFileSync(new URL('../../../docs/formats/item.md', import.meta.url), 'utf8');
    const listed = [...page.matchAll(/^\| `([A-Z_]+)` +\|/gm)].map((match) => match[1]);
    expect(listed.toSorted()).toEqual(codes.toSorted());
  });
});
