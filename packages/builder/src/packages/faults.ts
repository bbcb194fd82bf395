import type { CommandFailed } from '@vmlet/host';
import { isFull } from '../disk-full.ts';
import type { ReadRecipe, RecipeError } from '../recipe.ts';

/** What apt says when keys and signatures do not go together. */
const BAD_SIGNATURE =
  /NO_PUBKEY|BADSIG|EXPKEYSIG|REVKEYSIG|EXPSIG|is not signed|signatures? (were|was|couldn)|NOSPLIT|NODATA/i;
const NOT_FOUND = /(?:Unable to locate package|has no installation candidate|Can't find a source to download)[^\n]*/;

/** Why the lists of packages could not be had, at the line that names the mirror. */
export function faultOfLists(
  read: ReadRecipe,
  { origin, error }: { origin: { member: (string | number)[]; name: string }; error: CommandFailed },
): Error {
  const said = complaintsOf(error);
  const cause = { cause: error };
  if (isFull(error)) return error;
  if (BAD_SIGNATURE.test(said)) {
    const wanted = `expected lists that are signed with a key of its keyring at "${origin.name}"`;
    return read.refuse(origin.member, `${wanted}, found others: ${said}`, cause);
  }
  return read.refuse(origin.member, `expected an answer of "${origin.name}", found none: ${said}`, cause);
}

/** Why packages could not be chosen, at the line that names the one that is missing. */
export function faultOfPackages(read: ReadRecipe, error: CommandFailed): RecipeError {
  const said = complaintsOf(error);
  const cause = { cause: error };
  const { suite, packages } = read.recipe;
  const complaint = NOT_FOUND.exec(said)?.[0] ?? '';
  // As a whole word: names of packages begin like others.
  const words = complaint.split(/[\s':"]+/);
  const index = packages.findIndex((name) => words.includes(name));
  if (complaint !== '' && index >= 0) {
    return read.refuse(['packages', index], `expected a package of "${suite}", found none of this name`, cause);
  }
  return read.refuse(['packages'], `expected packages of "${suite}" that go together, found: ${said}`, cause);
}

/** What a command complained about, on one line, without its advice. */
function complaintsOf(error: CommandFailed): string {
  const lines = error.stderr.split('\n').map((line) => line.trim());
  const complaints = lines.filter((line) => /^(E|Err):/.test(line)).map((line) => line.replace(/^(E|Err):\s*/, ''));
  const chosen = complaints.length > 0 ? complaints : lines.filter((line) => line !== '').slice(-3);
  return [...new Set(chosen)].slice(0, 4).join(' | ') || error.message;
}
