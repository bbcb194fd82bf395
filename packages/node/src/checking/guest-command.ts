import { FROM_COMMAND, RecordDecoder } from '@vmlet/guest-protocol/session';
import { encodeExecRequest } from '@vmlet/guest-protocol/session-requests';
import { WIRE_KINDS } from '@vmlet/guest-protocol/wire';
import { VmletError } from '../errors.ts';
import type { Machine } from '../machines/index.ts';

/** What a command may say on stderr: it is kept in memory. */
const MAX_STDERR_BYTES = 64 * 1024;
const ENVIRONMENT = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root' };

/** How a command ended: its exit status, 128 and the signal's number, or -1 if the guest never said. */
export interface CommandEnd {
  status: number;
  stderr: string;
}

/**
 * Runs a command in a machine and gives its output as it comes, no faster than it is taken. All of it is hostile.
 * @returns by the generator's end, how it ended
 * @throws why the machine ended, VmletError `GUEST_MISBEHAVED`; the signal's reason
 */
export async function* outputOf(
  machine: Pick<Machine, 'id' | 'openSession'>,
  argv: readonly string[],
  { signal }: { signal: AbortSignal },
): AsyncGenerator<Buffer, CommandEnd> {
  const payload = encodeExecRequest({ argv, folder: '/', env: ENVIRONMENT });
  const stream = await machine.openSession({ kind: WIRE_KINDS.EXEC, payload }, signal);
  const onAbort = () => void stream.destroy(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  const decoder = new RecordDecoder();
  const end: CommandEnd = { status: -1, stderr: '' };
  try {
    signal.throwIfAborted();
    for await (const chunk of stream) {
      for (const { type, payload: bytes } of decoder.push(chunk)) {
        if (type === FROM_COMMAND.STDOUT) yield bytes;
        if (type === FROM_COMMAND.STDERR && end.stderr.length < MAX_STDERR_BYTES) end.stderr += bytes.toString('utf8');
        if (type === FROM_COMMAND.EXIT) end.status = bytes[0] === 1 ? 128 + (bytes[1] ?? 0) : (bytes[1] ?? -1);
      }
    }
    return end;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof VmletError) throw error;
    const found = error instanceof Error ? error.message : String(error);
    throw new VmletError('GUEST_MISBEHAVED', { operands: { machine: machine.id, found }, cause: error });
  } finally {
    signal.removeEventListener('abort', onAbort);
    stream.destroy();
  }
}
