import { expect, test } from 'vitest';
import { readRange, readVersion } from '../src/version-range.ts';
import { newestWanted } from '../src/wanted-node.ts';

const HERE = ['14.21.3', '18.20.8', '20.1.0', '22.9.0', '22.23.3', '24.3.1', '24.21.0', '25.0.0'];

function node(text: string) {
  const version = readVersion(text);
  if (version === undefined) throw new Error(`no version: ${text}`);
  return { version, text };
}

/** The newest of `HERE` that is meant; 18 is the one that runs. */
function newest(text: string): string | undefined {
  return newestWanted(text, HERE.map(node), node('18.20.8'))?.text;
}

/** What npm's own package says of each, which was compared on 60,000 ranges when this was written. */
const RANGES: Record<string, string | undefined> = {
  '': '25.0.0',
  '*': '25.0.0',
  '22': '22.23.3',
  v22: '22.23.3',
  '22.x': '22.23.3',
  '22.9': '22.9.0',
  '=22.9.0': '22.9.0',
  '24.3.X': '24.3.1',
  '22.9.1': undefined,
  '^22.10': '22.23.3',
  '^22.24.0': undefined,
  '^0.12': undefined,
  '~24.3': '24.3.1',
  '~> 24.3.0': '24.3.1',
  '~22': '22.23.3',
  '>=18': '25.0.0',
  '>24': '25.0.0',
  '>24.3.1 <25': '24.21.0',
  '<=22': '22.23.3',
  '<22.23.3': '22.9.0',
  '< 14': undefined,
  '>= 22.1.0 < 22.10': '22.9.0',
  '>=20.0.0 <23 || =24.3.1': '24.3.1',
  '16 || 18': '18.20.8',
  '18.0 - 22.9': '22.9.0',
  '14 - 16': '14.21.3',
  '>=22.0.0-0 <24.0.0-0': '22.23.3',
  '>24.21.0-rc.1 <25': '24.21.0',
  '<=14.21.3-rc.1': undefined,
  '>*': undefined,
};

test.each(Object.entries(RANGES))('range "%s": means what it means to npm', (range, expected) => {
  expect(readRange(range)).toBeDefined();
  expect(newest(range)).toBe(expected);
});

test.each(['iojs', '22.1.2.3', '022', '22,24', '>', '22 |', '$(touch x)', '9999999999', '1.2.3 -', '^^22'])(
  'range "%s": is none',
  (text) => {
    expect(readRange(text)).toBeUndefined();
    expect(newest(text)).toBeUndefined();
  },
);

test.each([
  ['node', '25.0.0'],
  ['stable', '25.0.0'],
  ['lts/*', '24.21.0'],
  ['lts/krypton', '24.21.0'],
  ['lts/Jod', '22.23.3'],
  ['lts/-1', '22.23.3'],
  ['lts/argon', undefined],
  ['lts/nothing', undefined],
  ['lts/constructor', undefined],
  ['default', '18.20.8'],
  ['system', '18.20.8'],
])('nvm\'s name "%s": is %s', (name, expected) => {
  expect(newest(name)).toBe(expected);
});

test.each(['22', '22.1', '22.1.1-rc.1', 'x22.1.1', '22.1.1 ', '01.1.1'])('"%s": is no whole version', (text) => {
  expect(readVersion(text)).toBeUndefined();
});
