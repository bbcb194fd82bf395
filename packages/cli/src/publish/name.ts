import { basename } from 'node:path';
import type { OwnerClient } from '../client/owner.ts';
import { startProgram } from '../client/owner-lifecycle.ts';
import { type ListedName, OwnerNames } from '../client/owner-names.ts';
import { sumMs } from '../client/owner-starts.ts';
import { ProblemError } from '../client/problem.ts';
import { CliError } from '../errors.ts';
import type { Output } from '../output.ts';
import { formatMs } from '../terminal-text.ts';

/** Of a DNS label. */
const MAX_NAME_CHARS = 63;
/** For a folder whose own name leaves nothing to make a label of. */
const FALLBACK_NAME = 'program';

/** Where a start fails that fails for what was deployed. */
const PROGRAM_PHASES: ReadonlySet<string> = new Set(['load', 'serve', 'code', 'runtime']);

/** What names a deployment. */
export interface NamePlan {
  readonly name: string;
  /** What the name is before the deployment; null if it is free, or where it cannot be asked. */
  readonly before: ListedName | null;
}

/** Where names are kept, and who tells of them. */
export interface NameTools {
  /** Undefined for a node that is known by its URL only: names are its owner's. */
  readonly owner: OwnerClient | undefined;
  readonly output: Output;
  readonly signal: AbortSignal;
}

/** What a folder's program is called: its own name, as a DNS label. */
export function nameOfFolder(path: string): string {
  const label = basename(path)
    .normalize('NFKD')
    .toLowerCase()
    .replace(/\p{M}+/gu, '')
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, MAX_NAME_CHARS)
    .replace(/^-+|-+$/g, '');
  return label || FALLBACK_NAME;
}

/**
 * Chooses the name of a deployment, and makes sure that it may be taken before any work is done for it. A folder whose
 * name is reserved gets another one; a name that was told does not.
 * @throws ProblemError `NAME_TAKEN`, `NAME_MALFORMED`
 */
export async function planName(
  { told, folder, address }: { told: string | undefined; folder: string; address: string },
  { owner, output, signal }: NameTools,
): Promise<NamePlan> {
  const name = told ?? nameOfFolder(folder);
  if (owner === undefined) return { name, before: null };
  const names = new OwnerNames(owner, signal);
  try {
    return { name, before: await names.check(name, address) };
  } catch (error) {
    const isReserved = error instanceof ProblemError && error.problem.code === 'NAME_MALFORMED';
    if (told !== undefined || !isReserved) throw error;
    const other = `${name.slice(0, MAX_NAME_CHARS - 4)}-app`;
    const before = await names.check(other, address);
    output.note(`The name ${name} is reserved: this is ${other} (other: --name NAME)`);
    return { name: other, before };
  }
}

/** Where a name leads after a deployment. */
export interface NamedDeployment {
  readonly version: number | null;
  readonly url: string | null;
  readonly hostUrl: string | null;
}

/**
 * Leads the name to the new program on a node of one's own, from the next request on. Where another version serves, the new one is started
 * first, unless told otherwise: one that fails never takes its place.
 * @param wait undefined to wait where there is something to lose
 * @throws CliError `VERSION_FAILED`, with the program's own error
 */
export async function moveName(
  { name, before }: NamePlan,
  { itemHash, wait }: { itemHash: string; wait: boolean | undefined },
  { owner, output, signal }: NameTools,
): Promise<NamedDeployment> {
  if (owner === undefined) return { version: null, url: null, hostUrl: null };
  const replaces = before !== null && before.itemHash !== null;
  if (wait ?? replaces) await startFirst({ name, itemHash }, { owner, output, signal });
  const { versions, url, hostUrl } = await new OwnerNames(owner, signal).move(name, itemHash);
  const version = versions.find((one) => one.current)?.version ?? null;
  const old = before?.versions.find((one) => one.current)?.version;
  if (old !== undefined)
    output.note(`${name} is at version ${version} now; back to ${old} with: vmlet rollback ${name}`);
  return { version, url, hostUrl };
}

async function startFirst(
  { name, itemHash }: { name: string; itemHash: string },
  { owner, output, signal }: NameTools & { owner: OwnerClient },
): Promise<void> {
  output.step('Starting the new version');
  try {
    const { phases } = await startProgram(owner, itemHash, { wait: true, signal });
    if (phases) output.step('Starting the new version', formatMs(sumMs(phases.steps)));
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    const { cause, detail, phase } = error.problem;
    if (!PROGRAM_PHASES.has(phase)) {
      // Not the program's doing: whoever deploys is told what is in the way, and where that leaves the name.
      output.note(`${name} was not moved to the new version ${itemHash.slice(0, 12)}: the one before it serves on`);
      throw error;
    }
    const operands = { name, itemHash: itemHash.slice(0, 12), found: 'it does not start' };
    throw new CliError('VERSION_FAILED', {
      operands,
      detail: [cause, detail ?? ''].join('\n').trimEnd(),
      cause: error,
    });
  }
}
