import { sameAddress } from '@vmlet/messages/schema';
import type { PublicApi } from '../client/api.ts';
import type { NetworkRuntime } from '../client/network-schema.ts';
import { ProblemError } from '../client/problem.ts';
import { CliError } from '../errors.ts';
import { cleanLine } from '../terminal-text.ts';

const NAME = '[a-z0-9][a-z0-9.-]{0,62}';
const VERSION = '[\\w.+-]{1,32}';
const PLAIN_NAME = new RegExp(`^${NAME}$`);
const PLAIN_VERSION = new RegExp(`^${VERSION}$`);
const WHOLE_NAME = new RegExp(`^(?:([\\w.]{20,128})/)?(${NAME})(?:@(${VERSION}))?$`);
const UNKNOWN = new Set(['RUNTIME_UNKNOWN', 'API_ROUTE_UNKNOWN']);
/** Publishers that are named where a name is not enough. */
const MAX_SHOWN = 5;

/** A name of the command line: whose, what, and which version. */
export interface RuntimeName {
  /** Undefined for one's own, or the operator's. */
  readonly address: string | undefined;
  readonly name: string;
  readonly version: string | undefined;
}

/** Reads `NAME`, `NAME@VERSION` or `ADDRESS/NAME@VERSION`; undefined for what is none, as a path. */
export function readRuntimeName(text: string): RuntimeName | undefined {
  const [, address, name, version] = WHOLE_NAME.exec(text) ?? [];
  return name === undefined ? undefined : { address, name, version };
}

/** What names a publisher's own runtime. @throws CliError `OPTION_MALFORMED` */
export function checkOwnName({ name, version }: { name: string; version: string }): void {
  const found = `${name}@${version}`;
  if (PLAIN_NAME.test(name) && PLAIN_VERSION.test(version)) return;
  const expected = 'NAME or NAME@VERSION of a-z, 0-9, "." and "-"';
  throw new CliError('OPTION_MALFORMED', { operands: { option: '--name', found, expected, help: 'vmlet --help' } });
}

/**
 * Finds the runtime that a name means on a node: a publisher's, where one is told; else one's own, else the operator's.
 * A stranger's is never meant by its name alone, for anybody can take any name.
 * @throws CliError `RUNTIME_UNKNOWN`, which says whose there are
 */
export async function findNamedRuntime(
  { address, name, version }: RuntimeName,
  { api, own, signal }: { api: PublicApi; own: string | undefined; signal: AbortSignal },
): Promise<NetworkRuntime> {
  const wanted = version === undefined ? name : `${name}@${version}`;
  const mine = own === undefined ? [] : [`${own}/${wanted}`];
  const places = address === undefined ? [...mine, wanted] : [`${address}/${wanted}`];
  for (const place of places) {
    const found = await api.runtime(place, signal).catch(orUnknown);
    if (found !== undefined) return found;
  }
  const { runtimes } = await api.runtimes({ names: [name], signal });
  const others = [...new Set(runtimes.map((one) => `${one.address}/${name}@${one.metadata.version}`))];
  const known = others.slice(0, MAX_SHOWN).map(cleanLine).join(', ') || 'those that `vmlet runtime ls --network` shows';
  const found =
    address === undefined ? 'neither you nor the operator has that name here' : 'no such name of theirs here';
  const asked = address === undefined ? wanted : `${address}/${wanted}`;
  throw new CliError('RUNTIME_UNKNOWN', { operands: { runtime: asked, found, known } });
}

/** Nothing where the node says that there is none, or is one of the network that knows of no runtimes. */
export function orUnknown(error: unknown): undefined {
  const isUnknown = error instanceof ProblemError && UNKNOWN.has(error.problem.code);
  const isOther = error instanceof CliError && error.code === 'ANSWER_UNEXPECTED';
  if (!isUnknown && !isOther) throw error;
}

/** A runtime as it is told to people: whose it is, and what it is called. */
export function shownRuntime({ address, metadata, names, item_hash: itemHash }: NetworkRuntime, own?: string): string {
  const name = names[0]?.replace(/@.*/, '') ?? metadata.name;
  const whose = own !== undefined && sameAddress(address, own) ? 'you' : address;
  return cleanLine(`${name} ${metadata.version} of ${whose} (${itemHash})`);
}
