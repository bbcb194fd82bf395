import { getSystemErrorMessage } from 'node:util';
import { CliError } from '../errors.ts';

/** The error for an errno that the machine tells of a path. */
export function failureOfErrno(errno: number, path: string): CliError {
  return new CliError('COPY_FAILED', { operands: { path, found: messageOf(errno) } });
}

/** Does something with files of this host; what the system refuses is told of that path. */
export async function failureOfSystem<T>(path: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    if (!(error instanceof Error) || !('errno' in error) || typeof error.errno !== 'number') throw error;
    throw new CliError('COPY_FAILED', { operands: { path, found: messageOf(-error.errno) }, cause: error });
  }
}

function messageOf(errno: number): string {
  try {
    return getSystemErrorMessage(-errno) ?? `error ${errno}`;
  } catch {
    // A number that no system has.
    return `error ${errno}`;
  }
}
