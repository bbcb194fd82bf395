import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { itemHashOfLabel, programLabel } from './program-label.ts';

test('programLabel: is the base32 of the hash, as RFC 4648 has it', () => {
  expect(programLabel('00'.repeat(32))).toBe('a'.repeat(52));
  expect(programLabel(Buffer.from('foobar'.padEnd(32, '\0')).toString('hex'))).toMatch(/^mzxw6ytboi/);
});

test('itemHashOfLabel: gives back what programLabel was given, in any case', () => {
  for (let round = 0; round < 200; round++) {
    const hash = randomBytes(32).toString('hex');
    const label = programLabel(hash);
    expect(label).toMatch(/^[a-z2-7]{52}$/);
    expect(itemHashOfLabel(label)).toBe(hash);
    expect(itemHashOfLabel(label.toUpperCase())).toBe(hash);
  }
});

test('itemHashOfLabel: gives nothing, for what is no label of a program', () => {
  const label = programLabel('00'.repeat(32));
  for (const bad of [
    '',
    label.slice(1),
    `${label}a`,
    `${label.slice(1)}1`,
    `${label.slice(1)}b`,
    `${label.slice(1)}é`,
  ]) {
    expect(itemHashOfLabel(bad)).toBeUndefined();
  }
});

test('programLabel: fits a host name, for a CID too', () => {
  expect(programLabel('QmYULJoNGPDmoRq4WNWTDTUvJGJv1hosox8H6vVd1kCsY8')).toMatch(/^[a-z2-7]{52}$/);
});
