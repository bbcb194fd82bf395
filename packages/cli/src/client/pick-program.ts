import type { Context } from '../context.ts';
import { findProgram } from './find-program.ts';
import { locateNode, type NodeAddress, ownerOf } from './locate.ts';
import type { OwnerClient } from './owner.ts';
import type { ListedProgram } from './owner-schema.ts';

/** A program of the command line, on its node. */
export interface PickedProgram {
  readonly node: NodeAddress;
  readonly owner: OwnerClient;
  readonly program: ListedProgram;
  /** As it is told to people. */
  readonly shown: string;
}

/**
 * Finds the program that an argument means.
 * @param what what the command wants to do, for the error of a node that is known by its URL only
 * @throws CliError `PROGRAM_UNKNOWN`, `PROGRAM_AMBIGUOUS`, `OWNER_SOCKET_NEEDED`, `NODE_NOT_RUNNING`
 */
export async function pickProgram(wanted: string, context: Context, what: string): Promise<PickedProgram> {
  const node = await locateNode(context);
  const owner = ownerOf(node, { what, instead: '' });
  const programs = await owner.programs(context.signal);
  const program = findProgram(wanted, programs, { strict: false, nowMs: Date.now() });
  return { node, owner, program, shown: shownName(program) };
}

/** States of a machine that answers in some milliseconds. */
const AT_ONCE: ReadonlySet<string> = new Set(['running', 'paused', 'resuming', 'spare']);

/** Whether nobody has to be told that a machine is being started. */
export function answersAtOnce({ state }: Pick<ListedProgram, 'state'>): boolean {
  return AT_ONCE.has(state);
}

/** What a program is called: the name that leads to it, an older version of one, or what it was deployed as. */
export function shownName({ names, name, itemHash }: ListedProgram): string {
  const current = names.find((one) => one.current);
  if (current !== undefined) return current.name;
  const [old] = names;
  return old === undefined ? (name ?? itemHash.slice(0, 12)) : `${old.name}@${old.version}`;
}
