import type { ItemHash } from '@vmlet/messages';
import { itemHashSchema } from '@vmlet/messages/schema';
import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import type { PublishedRuntime } from '../catalogue/index.ts';
import { VmletError } from '../errors.ts';
import type { ApiComponents } from './components.ts';
import { intParam, readParams, textsParam } from './query-params.ts';

const MAX_PER_PAGE = 200;
const MAX_PAGE = 1_000_000;

const runtimeSchema = z.object({
  item_hash: z.string(),
  address: z.string(),
  time: z.number(),
  file_hash: z.string(),
  size: z.number(),
  ref: z.string().nullable(),
  names: z.array(z.string()),
  metadata: z.record(z.string(), z.unknown()),
});
const aliasSchema = z.object({ hash: z.string(), target: z.string(), active: z.boolean() });
const listSchema = z.object({
  runtimes: z.array(runtimeSchema),
  pagination_per_page: z.number(),
  pagination_page: z.number(),
  pagination_total: z.number(),
  pagination_item: z.literal('runtimes'),
  operator: z.string(),
  aliases: z.array(aliasSchema),
});
/** A file that is published beside a runtime; null where its manifest names none, or it is not here. */
const besideSchema = z
  .object({ item_hash: z.string(), file_hash: z.string(), size: z.number(), url: z.string() })
  .nullable();
const detailSchema = z.object({
  ...runtimeSchema.shape,
  beside: z.object({ recipe: besideSchema, lock: besideSchema, sbom: besideSchema }),
  alias: aliasSchema.nullable(),
  stands_in_for: z.array(z.string()),
  versions: z.array(z.object({ item_hash: z.string(), version: z.string(), time: z.number() })),
  used_by: z.object({
    count: z.number(),
    programs: z.array(z.object({ item_hash: z.string(), address: z.string() })),
  }),
});

const querySchema = z.object({
  addresses: textsParam().optional(),
  names: textsParam().optional(),
  pagination: intParam({ min: 1, max: MAX_PER_PAGE }).default(20),
  page: intParam({ min: 1, max: MAX_PAGE }).default(1),
});
const refSchema = z.object({ ref: z.string().max(256) });
const namedSchema = z.object({ address: z.string().max(128), name: z.string().max(128) });

const list = {
  summary: 'Runtimes that are published here, the newest first, and aliases that the operator has signed',
  tag: 'runtimes',
  query: querySchema,
  response: listSchema,
};
const byRef = {
  summary: 'One runtime, by its item_hash, or by the name that the operator of this node gives it',
  tag: 'runtimes',
  params: refSchema,
  response: detailSchema,
};
const byName = {
  summary: 'One runtime, by its publisher and the name that the publisher gives it: NAME or NAME@VERSION',
  tag: 'runtimes',
  params: namedSchema,
  response: detailSchema,
};

/** What runtimes are published here, by whom, and under which names. */
export function registerRuntimes(app: FastifyInstance, components: ApiComponents): void {
  const { catalogue, aliases, operator } = components;

  app.get('/api/v0/runtimes.json', { config: { doc: list } }, async (request): Promise<z.input<typeof listSchema>> => {
    const { pagination, page, ...wanted } = readParams(querySchema, request.query);
    const query = { ...wanted, limit: pagination, offset: (page - 1) * pagination };
    const { runtimes, total } = catalogue.list(query);
    return {
      runtimes: runtimes.map(shown),
      ...{ pagination_per_page: pagination, pagination_page: page, pagination_total: total },
      ...{ pagination_item: 'runtimes', operator, aliases: aliases.all().map(shownAlias) },
    };
  });

  app.get('/api/v0/runtimes/:ref', { config: { doc: byRef } }, async (request) => {
    const { ref } = readParams(refSchema, request.params);
    const target = aliases.of(ref);
    const found = catalogue.get(target ?? ref) ?? catalogue.resolve(operator, ref);
    if (found === undefined) throw unknown(ref);
    return detail(found, components, target === undefined ? undefined : ref);
  });

  app.get('/api/v0/runtimes/:address/:name', { config: { doc: byName } }, async (request) => {
    const { address, name } = readParams(namedSchema, request.params);
    const found = catalogue.resolve(address, name);
    if (found === undefined) throw unknown(`${address}/${name}`);
    return detail(found, components);
  });
}

function detail(
  runtime: PublishedRuntime,
  { catalogue, aliases, ledger }: Pick<ApiComponents, 'catalogue' | 'aliases' | 'ledger'>,
  asked?: string,
): z.input<typeof detailSchema> {
  const { count, programs } = catalogue.usersOf(asked ?? runtime.itemHash);
  const alias = aliases.all().find(({ hash }) => hash === asked);
  return {
    ...shown(runtime),
    beside: {
      recipe: besideOf(runtime.manifest.recipe, ledger),
      lock: besideOf(runtime.manifest.lock, ledger),
      sbom: besideOf(runtime.manifest.sbom, ledger),
    },
    alias: alias === undefined ? null : shownAlias(alias),
    stands_in_for: aliases.leadingTo(runtime.itemHash),
    versions: catalogue.versionsOf(runtime).map(({ itemHash, manifest, time }) => ({
      ...{ item_hash: itemHash, version: manifest.version, time },
    })),
    used_by: { count, programs: programs.map(({ itemHash, address }) => ({ item_hash: itemHash, address })) },
  };
}

function besideOf(named: string | undefined, ledger: ApiComponents['ledger']): z.input<typeof besideSchema> {
  const itemHash = itemHashSchema.safeParse(named).data;
  const found = itemHash && ledger.store(itemHash);
  if (itemHash === undefined || found === undefined) return null;
  const { fileHash, sizeBytes } = found;
  return { item_hash: itemHash, file_hash: fileHash, size: sizeBytes, url: `/api/v0/storage/raw/${fileHash}` };
}

function shown(runtime: PublishedRuntime): z.input<typeof runtimeSchema> {
  const { itemHash, address, time, fileHash, sizeBytes, updates, names, manifest } = runtime;
  return {
    ...{ item_hash: itemHash, address, time, file_hash: fileHash, size: sizeBytes, ref: updates ?? null },
    ...{ names: [...names], metadata: manifest },
  };
}

function shownAlias({ hash, target, isActive }: { hash: ItemHash; target: ItemHash; isActive: boolean }) {
  return { hash, target, active: isActive };
}

function unknown(ref: string): VmletError {
  return new VmletError('RUNTIME_UNKNOWN', { operands: { ref } });
}
