import type { GuestMessage } from '@vmlet/guest-protocol';
import { PROTOCOL_VERSION } from '@vmlet/guest-protocol';
import { WIRE_KINDS } from '@vmlet/guest-protocol/wire';
import { VmletError } from '../errors.ts';
import { printable } from './console.ts';
import type { QemuExit } from './qemu/launch.ts';
import type { MachineState } from './state.ts';
import type { StreamBroken } from './wire/stream.ts';
import type { StreamRequest } from './wire/wire.ts';

type Failed = Extract<GuestMessage, { type: 'failed' }>;

/**
 * init0's and init1's own words, as an error of the catalogue. What a program says of itself goes into the detail:
 * an exception's text is for its owner, not for visitors.
 */
export function failureOf(message: Failed, console: string): VmletError {
  const { phase, code } = message;
  const words = printable(message.message);
  const detail = [words, printable(message.detail), phase !== 'load' && console && `console:\n${console}`]
    .filter((part) => part)
    .join('\n');
  if (phase === 'load') return new VmletError('PROGRAM_LOAD_FAILED', { operands: { code }, detail });
  if (phase === 'serve') return new VmletError('PROGRAM_FAILED', { operands: { code }, detail });
  return new VmletError('MACHINE_BOOT_FAILED', { operands: { code, phase, message: words }, detail });
}

/** Only an init0 of an image can be of another version than the node: the boot kit's comes with it. */
export function protocolUnsupported({ protocol, version }: Extract<GuestMessage, { type: 'hello' }>): VmletError {
  const operands = { version: printable(version), found: protocol, expected: PROTOCOL_VERSION };
  return new VmletError('INIT_PROTOCOL_UNSUPPORTED', { operands });
}

type Exited = Extract<GuestMessage, { type: 'exited' }>;

/** The launcher's end is the program's, once it has been told to load one. */
export function exitOf(message: Exited, { state, console }: { state: MachineState; console: string }): VmletError {
  const found = message.signal ? `signal ${message.signal}` : `exit code ${message.code}`;
  if (state === 'loading') return new VmletError('PROGRAM_EXITED_LOADING', { operands: { found } });
  if (state === 'loaded' || state === 'paused') return new VmletError('PROGRAM_EXITED', { operands: { found } });
  const operands = { code: 'LAUNCHER_EXITED', phase: 'ready', message: `the launcher ended with ${found}` };
  return new VmletError('MACHINE_BOOT_FAILED', { operands, detail: console && `console:\n${console}` });
}

/** Why a guest starts no session, in words. */
export function refusalOf(error: StreamBroken, { kind }: StreamRequest): VmletError {
  const noShell = kind === WIRE_KINDS.EXEC && error.code === 'ENOENT';
  const found = noShell ? 'the runtime has neither /bin/bash nor /bin/sh' : `the guest says ${error.code}`;
  return new VmletError('SESSION_REFUSED', { operands: { found }, cause: error });
}

/** Why a machine ended of which nobody said that it should. */
export function deathOf(machine: string, exit: QemuExit, console: string): VmletError {
  const detail = [exit.stderr && `qemu: ${exit.stderr}`, console && `console:\n${console}`]
    .filter(Boolean)
    .join('\n\n');
  if (exit.code === 127) {
    return new VmletError('QEMU_NOT_STARTED', {
      operands: { command: 'qemu-system-x86_64', found: exit.stderr },
      detail,
    });
  }
  const found = endOf(exit);
  return new VmletError('MACHINE_DIED', { operands: { machine, found }, detail });
}

function endOf({ code, signal, outOfMemory }: QemuExit): string {
  if (outOfMemory) return 'ended by the kernel, since its process needed more memory than its cgroup has';
  return signal ? `ended by ${signal}` : `exit code ${code}`;
}
