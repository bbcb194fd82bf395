import { CliError } from '../errors.ts';
import { formatAge } from '../terminal-text.ts';
import type { ListedProgram } from './owner-schema.ts';

const WHOLE_HASH = /^[0-9a-f]{64}$/;
const HASH_START = /^[0-9a-f]{6,63}$/;

/** Whether the text is a whole item_hash, which needs no list to be understood. */
export function isItemHash(text: string): boolean {
  return WHOLE_HASH.test(text);
}

/**
 * The programs that a text of the command line can mean, the newest first: one item_hash, a start of it, a name, or
 * `NAME@VERSION`. A name that leads to a program means that one; else it is what programs were called when deployed.
 */
export function matchPrograms(text: string, programs: readonly ListedProgram[]): ListedProgram[] {
  const whole = programs.filter((program) => program.itemHash === text);
  if (whole.length > 0) return whole;
  const versions = programs.filter((program) => program.names.some((one) => `${one.name}@${one.version}` === text));
  if (versions.length > 0) return versions;
  const current = programs.filter((program) => program.names.some((one) => one.current && one.name === text));
  const named = current.length > 0 ? current : programs.filter((program) => program.name === text);
  const begun = HASH_START.test(text) ? programs.filter((program) => program.itemHash.startsWith(text)) : [];
  return [...new Set([...named, ...begun])].toSorted((a, b) => b.createdMs - a.createdMs);
}

/**
 * The one program that is meant. Of several with the same name it is the newest, for deploying again does not end
 * what was deployed before; unless `strict`, which is for what cannot be taken back.
 * @throws CliError `PROGRAM_UNKNOWN`, `PROGRAM_AMBIGUOUS`
 */
export function findProgram(
  text: string,
  programs: readonly ListedProgram[],
  { strict, nowMs }: { strict: boolean; nowMs: number },
): ListedProgram {
  const [newest, ...others] = matchPrograms(text, programs);
  if (newest === undefined) {
    const names = [...new Set(programs.flatMap(namesOf))];
    const known = names.length === 0 ? 'nothing is deployed' : `it is none of ${names.slice(0, 5).join(', ')}`;
    throw new CliError('PROGRAM_UNKNOWN', { operands: { program: text, found: known } });
  }
  const sameName = newest.name === text && others.every((other) => other.name === text);
  if (others.length > 0 && (strict || !sameName)) {
    const found = [newest, ...others]
      .slice(0, 5)
      .map((one) => `${one.itemHash.slice(0, 12)} (${formatAge(nowMs - one.createdMs)} old)`);
    throw new CliError('PROGRAM_AMBIGUOUS', { operands: { program: text, found: `it can be ${found.join(', ')}` } });
  }
  return newest;
}

/** The name that leads to a program; where none does, what it was called when it was deployed. */
function namesOf({ names, name }: ListedProgram): string[] {
  const current = names.filter((one) => one.current).map((one) => one.name);
  return current.length > 0 ? current : [name ?? ''].filter(Boolean);
}
