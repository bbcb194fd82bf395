import type { NodeAddress } from '../client/locate.ts';
import { OwnerClient } from '../client/owner.ts';
import { ProblemError } from '../client/problem.ts';

/** How much of the log is looked at, and how much of it is shown, in lines. */
const READ_LINES = 200;
const SHOWN_LINES = 40;
/** A guest's clock and this one's may differ by so much, in milliseconds. */
const CLOCK_SLACK_MS = 2000;
const PROGRAM_PHASES = new Set(['boot', 'load', 'serve']);

export interface ExplainOptions {
  node: NodeAddress;
  itemHash: string;
  /** When the request was sent; older lines belong to others. */
  sinceMs: number;
  signal: AbortSignal;
}

/**
 * Adds to a failure of a program what its log says of it, the traceback above all: visitors do not get it, its owner
 * does. Without the owner socket, or where the log cannot be read, the failure stays as it is.
 */
export async function explainFailure(error: ProblemError, options: ExplainOptions): Promise<ProblemError> {
  const { node, itemHash, signal } = options;
  const next = error.problem.next.replace(/\bvmlet logs\b/, `vmlet logs ${itemHash.slice(0, 12)}`);
  const problem = { ...error.problem, next };
  if (node.ownerSocket === undefined || !PROGRAM_PHASES.has(problem.phase)) return new ProblemError(problem);
  try {
    const lines = await tellingLines(new OwnerClient(node.ownerSocket), options);
    return new ProblemError(lines.length === 0 ? problem : { ...problem, detail: lines.join('\n') });
  } catch {
    signal.throwIfAborted();
    return new ProblemError(problem);
  }
}

/** What the platform said since the request, or else what the program said on stderr. */
async function tellingLines(owner: OwnerClient, { itemHash, sinceMs, signal }: ExplainOptions): Promise<string[]> {
  const platform: string[] = [];
  const stderr: string[] = [];
  for await (const { stream, timeMs, text } of owner.logs(itemHash, { lines: READ_LINES, follow: false, signal })) {
    if (stream === 'platform' && timeMs >= sinceMs) platform.push(text);
    if (stream === 'stderr' && timeMs >= sinceMs - CLOCK_SLACK_MS) stderr.push(text);
  }
  return (platform.length > 0 ? platform : stderr).slice(-SHOWN_LINES);
}
