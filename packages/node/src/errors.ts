import { catalogue, type ErrorCode } from './errors/catalogue.ts';
import type { CatalogueEntry } from './errors/entry.ts';

export type { ErrorCode } from './errors/catalogue.ts';
export type { CatalogueEntry, Phase } from './errors/entry.ts';

/** What an error carries beside its code. `operands` fill the template's `{name}` places. */
export interface ErrorContext {
  operands?: Record<string, string | number>;
  cause?: unknown;
  /** Anything longer: a traceback, the tail of a console. For the owner, never for a program's visitors. */
  detail?: string;
  /** When trying again may help, where that is known. */
  retryAfterSeconds?: number;
}

/** An error from the node's catalogue: what was being done, what was found, what to do next. */
export class VmletError extends Error {
  override readonly name = 'VmletError';
  readonly code: ErrorCode;
  readonly entry: CatalogueEntry;
  readonly detail: string | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(code: ErrorCode, context: ErrorContext = {}) {
    const entry = catalogue[code];
    super(render(entry.template, context.operands ?? {}), context.cause === undefined ? {} : { cause: context.cause });
    this.code = code;
    this.entry = entry;
    this.detail = context.detail;
    this.retryAfterSeconds = context.retryAfterSeconds;
  }
}

/** Fills `{name}` places; a missing operand stays visible as `{name}`, so that a test can find it. */
export function render(template: string, operands: Record<string, string | number>): string {
  return template.replace(/\{(\w+)\}/g, (place, name: string) => String(operands[name] ?? place));
}

/** RFC 9457 problem details, as the gateway, the API and the owner socket send them. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  code: ErrorCode;
  phase: string;
  cause: string;
  next: string;
  retryable: boolean;
  detail?: string;
}

/** Any thrown value as a catalogue error. What is not in the catalogue becomes `INTERNAL`, with its cause kept. */
export function asVmletError(error: unknown): VmletError {
  if (error instanceof VmletError) return error;
  const cause = error instanceof Error ? error.message : String(error);
  return new VmletError('INTERNAL', { operands: { cause }, cause: error });
}

/** The public form of an error. `forOwner` adds the detail (tracebacks, console), which visitors never see. */
export function toProblem(error: VmletError, { forOwner = false } = {}): Problem {
  const { entry } = error;
  return {
    type: `urn:vmlet:error:${error.code}`,
    title: entry.title,
    status: entry.status,
    code: error.code,
    phase: entry.phase,
    cause: error.message,
    next: entry.hint,
    retryable: entry.retryable,
    ...(forOwner && error.detail !== undefined ? { detail: error.detail } : {}),
  };
}
