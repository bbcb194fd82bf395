import { createHash } from 'node:crypto';
import { type Backend, type MachineSpec, machineOf } from './boot.ts';
import { qemuArguments } from './qemu/command-line.ts';

/**
 * All that QEMU is told of a machine, with the kernel's own words in it, but for names and paths: two machines of one
 * shape take each other's state. As a hash, in 64 hex digits.
 */
export function shapeOf(backend: Backend, spec: MachineSpec): string {
  const machine = { ...machineOf(backend, spec, ''), disk: undefined, kernel: 'kernel', initramfs: 'initramfs' };
  const words = qemuArguments({
    ...machine,
    drives: machine.drives.map((_, index) => ({ path: `drive${index}` })),
    memory: { path: 'memory', share: false },
    // How QEMU is confined, and whether it waits for a state, changes nothing of what it is.
    ...{ sandbox: false, incoming: false },
  });
  return createHash('sha256').update(JSON.stringify(words)).digest('hex');
}
