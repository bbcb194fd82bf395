import { CommandFailed } from '@vmlet/host';
import { MessageError } from '@vmlet/messages';
import { ProblemError } from './client/problem.ts';
import { CliError } from './errors.ts';
import { EXIT_CODES, type ExitCode } from './exit-codes.ts';

/** Any error as it is shown: one voice, whoever raised it. */
export interface Failure {
  code: string;
  phase: string;
  /** One line: what could not be done, what was found, what was expected. */
  cause: string;
  /** The next step. */
  next: string;
  exitCode: ExitCode;
  /** Several lines. */
  detail?: string;
}

/** Turns whatever was thrown into what is shown and the exit status that goes with it. */
export function failureOf(error: unknown): Failure {
  if (error instanceof CliError) {
    const { code, entry, message, next, detail } = error;
    return withDetail({ code, phase: entry.phase, cause: message, next, exitCode: entry.exitCode }, detail);
  }
  if (error instanceof ProblemError) {
    const { code, phase, cause, next, detail } = error.problem;
    return withDetail({ code, phase, cause, next, exitCode: exitCodeOf(error.problem) }, detail);
  }
  if (isNodeError(error)) {
    const { phase, status, hint } = error.entry;
    const { code, message: cause, detail } = error;
    return withDetail({ code, phase, cause, next: hint, exitCode: exitCodeOf({ code, phase, status }) }, detail);
  }
  if (error instanceof MessageError) {
    const { code, message, entry } = error;
    return { code, phase: 'message', cause: message, next: entry.hint, exitCode: EXIT_CODES.badInput };
  }
  if (error instanceof CommandFailed) {
    const shown = { code: 'COMMAND_FAILED', phase: 'host', cause: error.message, next: 'See: vmlet doctor' };
    return withDetail({ ...shown, exitCode: EXIT_CODES.cannot }, error.stderr.trimEnd());
  }
  if (error instanceof Error && error.name === 'RecipeError') return ofRecipe(error);
  if (error instanceof Error && error.name === 'ImportError') {
    const next = 'Name another archive, or make this one again; see: vmlet runtime build --help';
    const { message: cause } = error;
    return { code: 'IMPORT_REFUSED', phase: 'runtime', cause, next, exitCode: EXIT_CODES.badInput };
  }
  if (error instanceof Error && error.name === 'BoxUnavailable') {
    const next = 'nextStep' in error ? String(error.nextStep) : 'See: vmlet doctor';
    return { code: 'BOX_UNAVAILABLE', phase: 'host', cause: error.message, next, exitCode: EXIT_CODES.cannot };
  }
  if (error instanceof Error && error.name === 'DiskFull') {
    const next = 'Free some, or set VMLET_CACHE to a folder on a larger disk';
    return { code: 'DISK_FULL', phase: 'runtime', cause: error.message, next, exitCode: EXIT_CODES.cannot };
  }
  return unexpected(error);
}

/** Each fault of a recipe with the lines that it is about. Told by shape: the builder is loaded late. */
function ofRecipe(error: Error): Failure {
  const lines = error.message.split('\n');
  const faults = 'faults' in error && Array.isArray(error.faults) ? error.faults.length : 0;
  const told = 'detail' in error && typeof error.detail === 'string' ? error.detail : '';
  const count = faults === 0 ? lines.length : faults;
  const many = `Cannot use the recipe: ${count} faults in it, expected none`;
  const cause = count === 1 ? (lines[0] ?? '') : many;
  const next = 'Correct the recipe of the runtime';
  const shown = { code: 'RECIPE_REFUSED', phase: 'runtime', cause, next, exitCode: EXIT_CODES.badInput };
  return withDetail(shown, told === '' && lines.length > 1 ? error.message : told);
}

/** The exit status of an error of the node, by where it happened and its HTTP status. */
export function exitCodeOf({ code, phase, status }: { code: string; phase: string; status: number }): ExitCode {
  if (code.startsWith('KEY_')) return EXIT_CODES.badInput;
  if (status === 404 || status === 410) return EXIT_CODES.notFound;
  // A name that is taken is somebody's.
  if (status === 401 || status === 403 || status === 409) return EXIT_CODES.refused;
  if (status === 501 || status === 507) return EXIT_CODES.cannot;
  if (phase === 'load' || phase === 'serve') return EXIT_CODES.programFailed;
  if (phase === 'code' || status < 500) return EXIT_CODES.badInput;
  return phase === 'internal' ? EXIT_CODES.unexpected : EXIT_CODES.cannot;
}

/** The node's own errors, thrown by one that runs in this process. Told by shape: its module is large, and loaded late. */
interface NodeError extends Error {
  code: string;
  detail: string | undefined;
  entry: { phase: string; status: number; hint: string };
}

function isNodeError(error: unknown): error is NodeError {
  return error instanceof Error && error.name === 'VmletError' && 'code' in error && 'entry' in error;
}

function unexpected(error: unknown): Failure {
  const message = error instanceof Error ? error.message : String(error);
  const [cause = ''] = message.split('\n');
  const next = 'Run it again with the same arguments; if it happens again, report it with the lines above';
  const shown = { code: 'UNEXPECTED', phase: 'internal', cause, next, exitCode: EXIT_CODES.unexpected };
  return withDetail(shown, error instanceof Error ? error.stack : undefined);
}

function withDetail(failure: Failure, detail: string | undefined): Failure {
  return detail === undefined || detail === '' ? failure : { ...failure, detail };
}
