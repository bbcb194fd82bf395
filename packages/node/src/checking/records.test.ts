import fc from 'fast-check';
import { expect, test } from 'vitest';
import { inputs } from '../../../../tests/framework/variants.ts';
import { VmletError } from '../errors.ts';
import { factsOfSurvey } from './facts.ts';
import { judgeImage } from './judge/image.ts';
import { judgeInterpreters } from './judge/interpreters.ts';
import { judgeMachine } from './judge/machine.ts';
import { judgeSecurity } from './judge/security.ts';
import { judgeStart } from './judge/start.ts';
import { judgeSystem } from './judge/system.ts';
import { collectSurvey, readSurvey } from './records.ts';
import { evidenceOf, interpreterRecord, printed } from './testing.ts';

const runs = { numRuns: inputs({ usual: 3000, all: 100_000 }) };
const read = (output: Buffer) => readSurvey(output, { machine: 'm' });
const REFUSED = expect.objectContaining({ code: 'GUEST_MISBEHAVED' });
const WHOLE = [
  { kind: 'osRelease', path: 'etc/os-release', error: '', text: 'ID=debian\nPRETTY_NAME="Debian \\"12\\""\n' },
  { kind: 'libc', name: 'glibc', version: '2.36' },
  interpreterRecord(),
  { kind: 'package', manager: 'dpkg', name: 'a', version: '1', architecture: 'all', bytes: 5 },
];

test('readSurvey: takes a survey that is whole, by kinds', () => {
  const survey = read(printed(WHOLE));
  expect(survey.all('package')).toEqual([WHOLE[3]]);
  expect(survey.one('libc')).toEqual(WHOLE[1]);
  expect(survey.one('tree')).toBeUndefined();
});

test('readSurvey: refuses one that was cut, that says more than it has, or that holds what is no record', () => {
  const bytes = printed(WHOLE);
  for (let end = 0; end < bytes.length; end += 7) expect(() => read(bytes.subarray(0, end))).toThrow(VmletError);
  const wrong = [
    '{"kind":"end","records":1}\n',
    '{"kind":"end","records":0}\n{"kind":"end","records":1}\n{"kind":"libc","name":"glibc","version":""}\n',
    '{"kind":"nothing"}\n{"kind":"end","records":1}\n',
    '[]\n{"kind":"end","records":1}\n',
    `{"kind":"libc","name":"glibc","version":"${'x'.repeat(5000)}"}\n{"kind":"end","records":1}\n`,
    '\n'.repeat(50_000),
    '',
  ];
  for (const text of wrong) expect(() => read(Buffer.from(text)), text.slice(0, 80)).toThrow(REFUSED);
});

test('collectSurvey: takes no more than any survey has', async () => {
  const endless = async function* () {
    for (;;) yield Buffer.alloc(1024 * 1024);
  };
  await expect(collectSurvey(endless(), { machine: 'm' })).rejects.toMatchObject({ code: 'GUEST_MISBEHAVED' });
});

test('readSurvey: any bytes are refused or read, and nothing else happens', () => {
  const bytes = printed(WHOLE);
  const mutated = fc
    .array(fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 0, max: 255 })), { maxLength: 4 })
    .map((changes) => {
      const copy = Buffer.from(bytes);
      for (const [at, byte] of changes) copy[at] = byte;
      return copy;
    });
  fc.assert(
    fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 200 }).map(Buffer.from)), (output) => {
      try {
        factsOfSurvey(read(output));
      } catch (error) {
        expect(error).toEqual(REFUSED);
      }
    }),
    runs,
  );
});

test('judges: any texts that a guest tells become findings in which each line is one', () => {
  const text = fc.string({ unit: 'binary', maxLength: 60 });
  const record = fc.record({
    path: text,
    error: text,
    text,
    detail: text,
    name: text,
    output: text,
    of: text,
    value: text,
  });
  fc.assert(
    fc.property(record, fc.nat(), (it, count) => {
      const evidence = evidenceOf([
        { kind: 'osRelease', ...it },
        { kind: 'nsswitch', ...it },
        { kind: 'machineId', ...it },
        { kind: 'init', path: it.path, real: it.text, isVmlet: false },
        { kind: 'kernel', release: it.text, machine: it.name },
        { kind: 'kernelModule', name: it.name, from: it.path },
        { kind: 'bundle', path: it.path, certificates: count },
        { kind: 'account', name: it.name, hasPassword: false },
        { kind: 'writable', path: it.path, error: it.error, mode: count },
        { kind: 'socket', protocol: it.name, address: it.text, port: count },
        ...['secret', 'setuid', 'capability', 'odd-name', 'writable', 'device', 'large'].map((why) => ({
          ...{ kind: 'file', why, path: it.path, detail: it.detail, bytes: count, mode: 0, uid: count },
        })),
        interpreterRecord({ ...it, status: count % 3, loader: it.text }),
        { kind: 'library', of: it.path, name: it.name },
        { kind: 'module', of: it.path, name: it.name, error: it.error },
        { kind: 'authorities', of: it.of, value: it.value },
        { kind: 'encoding', of: it.of, value: it.value },
        { kind: 'package', manager: 'apk', name: it.name, version: it.text, architecture: '', bytes: count },
      ]);
      const judges = [judgeImage, judgeSystem, judgeInterpreters, judgeMachine, judgeSecurity, judgeStart];
      for (const { checks } of judges.map((judge) => judge(evidence))) {
        for (const check of checks) expect(check.status === 'ok' || (check.fix ?? '') !== '').toBe(true);
      }
    }),
    runs,
  );
});
