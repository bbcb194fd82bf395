import { sameAddress } from '@vmlet/messages/schema';
import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import { addressParam } from './address-param.ts';
import type { ApiComponents } from './components.ts';
import { pageFields, pageMembers, pageOf, pageSchema } from './paging.ts';
import { readParams, textsParam } from './query-params.ts';

type Entry = Readonly<Record<string, unknown>>;

/** Each filter with the member of an entry that it looks at. */
const FILTERS = [
  ['channels', 'channels'],
  ['types', 'types'],
  ['postTypes', 'post_types'],
  ['chains', 'chain'],
  ['aggregateKeys', 'aggregate_keys'],
] as const;

const params = z.object({ address: addressParam });
const filterFields = {
  channels: textsParam().optional(),
  types: textsParam().optional(),
  postTypes: textsParam().optional(),
  chains: textsParam().optional(),
  aggregateKeys: textsParam().optional(),
  ...pageFields({ defaultSize: 20, maxSize: 500 }),
};
const grantedQuery = z.object({ grantee: z.string().optional(), ...filterFields });
const receivedQuery = z.object({ granter: z.string().optional(), ...filterFields });
const response = z.object({
  authorizations: z.record(z.string(), z.array(z.record(z.string(), z.unknown()))),
  ...pageSchema,
  address: z.string(),
});

/** GET of who may write in whose name, by the owners' aggregates `security`. */
export function registerAuthorizations(
  app: FastifyInstance,
  { ledger, views }: Pick<ApiComponents, 'ledger' | 'views'>,
): void {
  const tag = 'authorizations';
  const granted = { summary: 'Whom an address permits what', tag, params, query: grantedQuery, response };
  app.get('/api/v0/authorizations/granted/:address.json', { config: { doc: granted } }, async (request) => {
    const { address } = readParams(params, request.params);
    const wanted = readParams(grantedQuery, request.query);
    const [security] = ledger.aggregate(address, ['security']);
    const grants = entriesOf(security?.content.authorizations).flatMap((entry) => {
      const { address: grantee } = entry;
      return typeof grantee === 'string' && isWanted(wanted.grantee, grantee) ? [{ by: grantee, entry }] : [];
    });
    return answer(address, { grants, wanted });
  });

  const received = { summary: 'Who permits an address what', tag, params, query: receivedQuery, response };
  app.get('/api/v0/authorizations/received/:address.json', { config: { doc: received } }, async (request) => {
    const { address } = readParams(params, request.params);
    const wanted = readParams(receivedQuery, request.query);
    const grants = views
      .grantsTo(address)
      .filter(({ owner }) => isWanted(wanted.granter, owner))
      .map(({ owner, entry }) => ({ by: owner, entry }));
    return answer(address, { grants, wanted });
  });
}

type Wanted = Omit<z.output<typeof grantedQuery>, 'grantee'>;

function answer(address: string, { grants, wanted }: { grants: { by: string; entry: Entry }[]; wanted: Wanted }) {
  const matching = grants.filter(({ entry }) =>
    FILTERS.every(([filter, member]) => allows(entry[member], wanted[filter])),
  );
  const groups = Map.groupBy(matching, ({ by }) => by);
  const { limit, offset } = pageOf(wanted);
  const page = [...groups].slice(offset, offset + limit);
  const authorizations = page.map(([by, all]) => [by, all.map(({ entry: { address: _address, ...rest } }) => rest)]);
  return {
    authorizations: Object.fromEntries(authorizations) as Record<string, Entry[]>,
    ...pageMembers(wanted, { total: groups.size, item: 'authorizations' }),
    address,
  };
}

/** An entry without a member is for all there are. */
function allows(found: unknown, wanted: readonly string[] | undefined): boolean {
  if (wanted === undefined || found === undefined || found === null) return true;
  const values: unknown[] = Array.isArray(found) ? found : [found];
  return values.length === 0 || values.some((value) => typeof value === 'string' && wanted.includes(value));
}

function isWanted(wanted: string | undefined, found: string): boolean {
  return wanted === undefined || sameAddress(wanted, found);
}

function entriesOf(authorizations: unknown): Entry[] {
  if (!Array.isArray(authorizations)) return [];
  return authorizations.filter((entry): entry is Entry => typeof entry === 'object' && entry !== null);
}
