import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { release } from 'node:os';
import type { Backend } from '../machines/index.ts';
import { shapeOf } from '../machines/snapshot/index.ts';
import type { ProgramFacts } from '../runtimes/index.ts';
import { hashFile, type SnapshotInputs, snapshotKey } from '../snapshots/index.ts';
import { environmentOf } from './environment/index.ts';
import { loadOf, machineOf } from './program-machine.ts';

/** What of this host a snapshot depends on. */
export type HostFacts = Pick<SnapshotInputs, 'qemu' | 'host'>;

/**
 * Looks at QEMU's program, by its path, and the host's processor. Two builds of one version of QEMU may differ in their devices.
 * @throws the system call's error
 */
export async function hostFacts(qemu: string, signal: AbortSignal): Promise<HostFacts> {
  const [{ sha256 }, cpuinfo] = await Promise.all([hashFile(qemu, signal), readFile('/proc/cpuinfo', 'utf8')]);
  return { qemu: sha256, host: hashOf([...processorOf(cpuinfo), release()]) };
}

/** Model and flags of the first processor; its present frequency, which is also there, tells nothing. */
export function processorOf(cpuinfo: string): string[] {
  const [first = ''] = cpuinfo.split('\n\n');
  return first.split('\n').filter((line) => /^(vendor_id|cpu family|model|model name|stepping|flags)\s*:/.test(line));
}

/** The keys of all snapshots from which programs may be started, of their own and of their runtimes. */
export function keysOf(programs: readonly ProgramFacts[], made: { backend: Backend; host: HostFacts }): Set<string> {
  const inputs = programs.flatMap((program) => [
    runtimeInputs(program, made),
    ...(program.snapshot ? [programInputs(program, made)] : []),
  ]);
  return new Set(inputs.map(snapshotKey));
}

/** What the snapshot of a program depends on. */
export function programInputs(program: ProgramFacts, made: { backend: Backend; host: HostFacts }): SnapshotInputs {
  const { itemHash, codeHash: code, codeForm: form } = program;
  return { ...runtimeInputs(program, made), program: { itemHash, code, form, load: hashOf(loadOf(program)) } };
}

/** What the snapshot of its runtime depends on, in a machine of its size. */
export function runtimeInputs(program: ProgramFacts, { backend, host }: { backend: Backend; host: HostFacts }) {
  const { launch, vcpus, memoryMiB, runtimeHash } = program;
  return {
    ...{ kit: backend.kit.hash, accelerator: backend.accelerator, tscKhz: backend.tscKhz, ...host },
    shape: shapeOf(backend, machineOf(program, { runtimeImage: '', codeImage: 'code' })),
    ...{ vcpus, memoryMiB, runtime: runtimeHash, init: launch.init },
    launcher: hashOf([launch.argv, environmentOf(launch)]),
    program: null,
    volumes: [],
  } satisfies SnapshotInputs;
}

function hashOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}
