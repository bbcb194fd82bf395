import type { ItemHash } from '@vmlet/messages';
import { itemHashSchema } from '@vmlet/messages/schema';
import * as z from 'zod';
import type { PublicApi } from '../client/api.ts';
import { CliError } from '../errors.ts';
import { isProgramName } from '../option-values.ts';
import { type Publisher, setAggregate } from './publisher.ts';

/** Key of an owner's AGGREGATE: names of programs on nodes that are not the owner's, each with where it leads. */
const NAMES_KEY = 'programs';

const namedSchema = z.object({ item_hash: itemHashSchema });

/** A name of the command line that another node may know: one's own, or `ADDRESS/NAME`. */
interface PublicName {
  readonly address: string | undefined;
  readonly name: string;
}

/** Reads one; undefined for what is none. */
function readPublicName(text: string): PublicName | undefined {
  const [, address, name = text] = /^([\w.]{20,128})\/(.+)$/.exec(text) ?? [];
  return isProgramName(name) ? { address, name } : undefined;
}

/** Leads a name to a program, for whoever asks by its owner and name. */
export async function publishProgramName(publisher: Publisher, name: string, itemHash: ItemHash): Promise<void> {
  publisher.output.step('Naming it');
  await setAggregate(publisher, NAMES_KEY, { [name]: { item_hash: itemHash } });
}

/**
 * Where a name leads that an owner has signed; undefined for a text that is none, and for a name of one's own that was
 * never published, which the node itself may know.
 * @throws CliError `PROGRAM_UNKNOWN` for a name of another owner who has none so
 */
export async function findPublicProgram(
  text: string,
  { api, own, signal }: { api: PublicApi; own: string | undefined; signal: AbortSignal },
): Promise<ItemHash | undefined> {
  const read = readPublicName(text);
  const address = read?.address ?? own;
  if (read === undefined || address === undefined) return undefined;
  const names = await api.aggregate(address, { key: NAMES_KEY, signal });
  const named = Object.hasOwn(names, read.name) ? namedSchema.safeParse(names[read.name]).data : undefined;
  if (named !== undefined || read.address === undefined) return named?.item_hash;
  const found = `${address} has signed no such name`;
  throw new CliError('PROGRAM_UNKNOWN', { operands: { program: text, found } });
}
