import { addressSchema } from '@vmlet/messages/schema';
import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import { VmletError } from '../errors.ts';
import type { PinnedFile } from '../pins/index.ts';
import type { ApiComponents } from './components.ts';
import { intParam, malformedParam, readParams } from './query-params.ts';

const DEFAULT_PER_PAGE = 100;
const MAX_PER_PAGE = 1000;
const MAX_PAGE = 1_000_000;

const query = z.object({
  pagination: intParam({ min: 1, max: MAX_PER_PAGE }).default(DEFAULT_PER_PAGE),
  page: intParam({ min: 1, max: MAX_PAGE }).default(1),
});

const doc = {
  summary: 'The files that STORE messages of an address name, newest first',
  tag: 'addresses',
  params: z.object({ address: z.string() }),
  query,
  response: z.object({
    address: z.string(),
    total_size: z.int(),
    files: z.array(
      z.object({
        file_hash: z.string(),
        size: z.int(),
        type: z.enum(['file', 'directory']),
        created: z.iso.datetime(),
        item_hash: z.string(),
      }),
    ),
    pagination_page: z.int(),
    pagination_total: z.int(),
    pagination_per_page: z.int(),
    pagination_item: z.literal('files'),
  }),
};

/** GET of the files of an address. */
export function registerAddressFiles(app: FastifyInstance, { pins, content }: ApiComponents): void {
  const path = '/api/v0/addresses/:address/files';
  app.get<{ Params: { address: string } }>(path, { config: { doc } }, async (request) => {
    const { address } = request.params;
    if (!addressSchema.safeParse(address).success) {
      throw malformedParam('address', { found: address, wanted: 'an address' });
    }
    const { pagination, page } = readParams(query, request.query);
    const { count, sizeBytes } = pins.totalOf(address);
    if (count === 0) throw new VmletError('ADDRESS_WITHOUT_FILES', { operands: { address } });
    const files = pins.filesOf(address, { limit: pagination, offset: (page - 1) * pagination });
    return {
      address,
      total_size: sizeBytes,
      files: await Promise.all(files.map((file) => described(file, content))),
      pagination_page: page,
      pagination_total: count,
      pagination_per_page: pagination,
      pagination_item: 'files',
    };
  });
}

async function described(
  { fileHash, sizeBytes, time, itemHash }: PinnedFile,
  content: Pick<ApiComponents['content'], 'find'>,
) {
  return {
    file_hash: fileHash,
    size: sizeBytes,
    type: (await content.find(fileHash))?.kind ?? 'file',
    created: new Date(time * 1000).toISOString(),
    item_hash: itemHash,
  };
}
