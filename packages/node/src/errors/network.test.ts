import { describe, expect, test } from 'vitest';
import { render } from '../errors.ts';
import { computeErrors } from './compute.ts';
import { networkErrors } from './network.ts';

const entries = Object.entries(networkErrors);

describe('networkErrors', () => {
  test.each(entries)('%s: says what could not be done, what was found and what was expected', (code, entry) => {
    expect(code).toMatch(/^[A-Z]+(_[A-Z]+)+$/);
    expect(entry.template).toMatch(/^Cannot \w+ .+: .+, expected .+[^.]$/);
    for (const text of [entry.template, entry.hint, entry.title]) {
      expect(text).not.toMatch(/\.$|\b\w+n't\b|\bInvalid\b/);
    }
    expect(entry.status).toBeGreaterThanOrEqual(400);
  });

  test.each(entries)('%s: names its operands in places that can be filled', (_code, { template }) => {
    const places = [...template.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
    const rendered = render(template, Object.fromEntries(places.map((name) => [name, `<${name}>`])));
    expect(rendered).not.toMatch(/[{}]/);
    for (const name of places) expect(rendered).toContain(`<${name}>`);
  });

  test('networkErrors: share no code with the errors of compute, which one catalogue would hide', () => {
    expect(entries.map(([code]) => code).filter((code) => code in computeErrors)).toEqual([]);
  });
});
