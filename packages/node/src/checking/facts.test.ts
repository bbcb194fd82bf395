import fc from 'fast-check';
import { expect, test } from 'vitest';
import { inputs } from '../../../../tests/framework/variants.ts';
import { factsOfSurvey, readOsRelease } from './facts.ts';
import { readSurvey } from './records.ts';
import { interpreterRecord, printed } from './testing.ts';

const factsOf = (records: object[]) => factsOfSurvey(readSurvey(printed(records), { machine: 'm' }));

test('facts: an os-release is read as shells read it', () => {
  const text = `# comment\nNAME=Alpine\nPRETTY_NAME="Alpine \\"edge\\" \\$1"\nID='alpine'\n VERSION_ID=3.20 \nbroken line\nlower=1\n`;
  expect([...readOsRelease(text)]).toEqual([
    ['NAME', 'Alpine'],
    ['PRETTY_NAME', 'Alpine "edge" $1'],
    ['ID', 'alpine'],
    ['VERSION_ID', '3.20'],
  ]);
});

test('facts: what a manifest says fits its bounds and holds no control characters, whatever the file holds', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (value) => {
      const text = `PRETTY_NAME="${value}"\nID=${value}`;
      const { os, osId } = factsOf([{ kind: 'osRelease', path: 'etc/os-release', error: '', text }]);
      expect(os.length).toBeLessThanOrEqual(128);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
      expect(os + osId).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
    }),
    { numRuns: inputs({ usual: 3000, all: 100_000 }) },
  );
});

test('facts: the first of several versions is the interpreter, and one that does not run is none', () => {
  const { interpreters } = factsOf([
    interpreterRecord({ name: 'ruby', path: '/usr/bin/ruby', output: 'not here', status: 127 }),
    interpreterRecord({ name: 'node', path: '/usr/local/bin/node', output: 'v24.21.0\n' }),
    interpreterRecord({ name: 'node', path: '/opt/node/22/bin/node', output: 'v22.23.3\n' }),
    interpreterRecord({ name: 'java', path: '/usr/bin/java', output: 'openjdk version "17.0.12" 2024-07-16\n' }),
    interpreterRecord({ name: 'go', path: '/usr/local/go/bin/go', output: 'go version go1.22.5 linux/amd64\n' }),
    interpreterRecord({ name: 'docker', path: '/usr/bin/docker', output: 'Docker version 28.2.2, build e6534b4\n' }),
    interpreterRecord({ name: '__proto__', path: '/usr/bin/odd', output: '6.6' }),
    interpreterRecord({ name: 'perl', path: 'relative' }),
  ]);
  expect(interpreters).toMatchObject({
    node: { path: '/usr/local/bin/node', version: '24.21.0', others: [{ version: '22.23.3' }] },
    java: { version: '17.0.12' },
    go: { version: '1.22.5' },
    docker: { version: '28.2.2' },
  });
  expect(interpreters.ruby ?? interpreters.perl).toBeUndefined();
});
