import type { FileHash, ItemHash } from '@vmlet/messages';
import { describe, expect, test } from 'vitest';
import type { Backend } from '../machines/index.ts';
import { backend } from '../machines/testing.ts';
import type { ProgramFacts } from '../runtimes/index.ts';
import { snapshotKey } from '../snapshots/index.ts';
import { type HostFacts, hostFacts, keysOf, processorOf, programInputs, runtimeInputs } from './inputs.ts';

const [A, B] = ['a'.repeat(64), 'b'.repeat(64)];
const PROGRAM: ProgramFacts = {
  itemHash: A as ItemHash,
  runtimeHash: A as FileHash,
  codeHash: A as FileHash,
  codeForm: 'zip.v2',
  launch: { kind: 'python', init: 'kit', argv: ['python3'], entrypoint: 'main:app', interface: 'asgi', args: [] },
  variables: { NAME: 'value' },
  vcpus: 1,
  memoryMiB: 256,
  seconds: 30,
  snapshot: true,
  internet: false,
  guestApi: false,
};
const HOST: HostFacts = { qemu: A, host: A };
const { launch } = PROGRAM;

/** What neither snapshot may be the same with. */
const OF_MACHINES: {
  what: string;
  program?: Partial<ProgramFacts>;
  made?: Partial<Backend>;
  host?: Partial<HostFacts>;
}[] = [
  { what: 'boot kit', made: { kit: { ...backend.kit, hash: 'other' } } },
  { what: 'accelerator', made: { accelerator: 'kvm' } },
  { what: 'rate of the time stamp counter', made: { tscKhz: 2_000_001 } },
  { what: 'program of QEMU', host: { qemu: B } },
  { what: 'processor of the host', host: { host: B } },
  { what: 'runtime', program: { runtimeHash: B as FileHash } },
  { what: 'number of processors', program: { vcpus: 2 } },
  { what: 'memory', program: { memoryMiB: 512 } },
  { what: 'network card', program: { internet: true } },
  { what: 'source of its init, and with it a drive', program: { launch: { ...launch, init: 'image' } } },
  { what: 'launcher', program: { launch: { ...launch, argv: ['python3', '-X', 'dev'] } } },
];
const OF_PROGRAMS: { what: string; program: Partial<ProgramFacts> }[] = [
  { what: 'message', program: { itemHash: B as ItemHash } },
  { what: 'code', program: { codeHash: B as FileHash } },
  { what: 'form of its code', program: { codeForm: 'squashfs' } },
  { what: 'value of a variable', program: { variables: { NAME: 'other' } } },
  { what: 'name of a variable', program: { variables: { OTHER: 'value' } } },
  { what: 'entrypoint', program: { launch: { ...launch, entrypoint: 'main:other' } } },
  { what: 'interface', program: { launch: { ...launch, interface: null } } },
  { what: 'arguments', program: { launch: { ...launch, args: ['-v'] } } },
];

const made = { backend, host: HOST };
const ofProgram = (changes: Partial<ProgramFacts> = {}, by = made) =>
  snapshotKey(programInputs({ ...PROGRAM, ...changes }, by));
const ofRuntime = (changes: Partial<ProgramFacts> = {}, by = made) =>
  snapshotKey(runtimeInputs({ ...PROGRAM, ...changes }, by));

describe('keys of snapshots', () => {
  test.each(OF_MACHINES)('keys: are others with another $what', ({ program = {}, made: other = {}, host = {} }) => {
    const by = { backend: { ...backend, ...other }, host: { ...HOST, ...host } };
    expect(ofProgram(program, by)).not.toBe(ofProgram());
    expect(ofRuntime(program, by)).not.toBe(ofRuntime());
  });

  test.each(OF_PROGRAMS)(
    'keys: of a program are others with another $what, and its runtime’s is not',
    ({ program }) => {
      expect(ofProgram(program)).not.toBe(ofProgram());
      expect(ofRuntime(program)).toBe(ofRuntime());
    },
  );

  test('keys: hold none of the values of variables, which may be anything', () => {
    expect(JSON.stringify(programInputs(PROGRAM, made))).not.toContain('value');
  });

  test('keysOf: gives those of programs and of their runtimes, and none of a program that is not to be saved', () => {
    expect(keysOf([PROGRAM], made)).toEqual(new Set([ofRuntime(), ofProgram()]));
    expect(keysOf([{ ...PROGRAM, snapshot: false }], made)).toEqual(new Set([ofRuntime()]));
  });
});

test('processorOf: is the model and what it can do, whatever its present frequency', () => {
  const cpu = (mhz: number, flags: string) =>
    `processor\t: 0\nmodel name\t: Some CPU\ncpu MHz\t\t: ${mhz}\nflags\t\t: ${flags}\n\nprocessor\t: 1\n`;
  expect(processorOf(cpu(1000, 'fpu avx'))).toEqual(processorOf(cpu(2000, 'fpu avx')));
  expect(processorOf(cpu(1000, 'fpu avx'))).not.toEqual(processorOf(cpu(1000, 'fpu')));
});

test('hostFacts: tells QEMU by the bytes of its program', async () => {
  const { signal } = new AbortController();
  const [one, other] = [await hostFacts('/bin/true', signal), await hostFacts('/bin/false', signal)];
  expect(one.qemu).not.toBe(other.qemu);
  expect(one.host).toBe(other.host);
});
