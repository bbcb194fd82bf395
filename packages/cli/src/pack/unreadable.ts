import { CliError } from '../errors.ts';

/** The error of a file or folder that cannot be read. */
export function unreadable(path: string, error: unknown): CliError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: 'it does not exist',
    ENOTDIR: 'it is not a folder',
    EISDIR: 'it is a folder',
    EACCES: 'this user may not read it',
  };
  return new CliError('FOLDER_UNREADABLE', { operands: { path, found: reasons[code] ?? code }, cause: error });
}
