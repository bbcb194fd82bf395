import { fileHashSchema } from '@vmlet/messages/schema';
import type * as z from 'zod';
import { VmletError } from '../errors.ts';
import { type Estimate, estimate, GpuUnpriced, type Priceable, priceableSchemaOf } from '../pricing/index.ts';
import type { ApiComponents } from './components.ts';

/** What pricing uses of the API's components. */
export type PriceComponents = Pick<ApiComponents, 'content' | 'ledger' | 'prices'>;

/**
 * What a message costs.
 * @throws VmletError `PRICE_CONTENT_MALFORMED` for a GPU that has no price
 */
export async function priceOf(message: Priceable, { content, ledger, prices }: PriceComponents): Promise<Estimate> {
  const fileHash = message.type === 'STORE' ? message.content.item_hash : undefined;
  const fileBytes = fileHash ? await bytesOfFile(fileHash, { content }) : undefined;
  const bytesOfRef = (ref: string, options: { latest: boolean }) => ledger.store(ref, options)?.sizeBytes;
  try {
    return estimate(message, { prices: prices(), bytesOfRef, fileBytes });
  } catch (error) {
    if (!(error instanceof GpuUnpriced)) throw error;
    throw malformed('requirements.gpu', { found: `'${error.message}'`, wanted: 'a GPU that has a price' });
  }
}

/**
 * Reads what a price depends on.
 * @throws VmletError `PRICE_NONE`, `PRICE_CONTENT_MALFORMED`
 */
export function readPriceable(type: string, content: unknown, { operand }: { operand: string }): Priceable {
  const schema = priceableSchemaOf(type);
  if (schema === undefined) throw new VmletError('PRICE_NONE', { operands: { operand, type } });
  return read(schema, content);
}

/** Reads a value by a schema. @throws VmletError `PRICE_CONTENT_MALFORMED`, which names the member */
export function read<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const path = (issue?.path ?? []).map(String).join('.') || '$';
  throw malformed(path, { found: 'another value', wanted: issue?.message ?? 'another one' });
}

/**
 * The content of a message in force.
 * @throws VmletError `MESSAGE_UNKNOWN`, `PRICE_NOT_IN_FORCE`, `PRICE_GONE`, `PRICE_NONE`
 */
export function priceableInForce(itemHash: string, { ledger }: Pick<ApiComponents, 'ledger'>): Priceable {
  const found = ledger.get(itemHash);
  if (found === undefined) throw new VmletError('MESSAGE_UNKNOWN', { operands: { itemHash } });
  const { status } = found;
  if (status === 'forgotten' || status === 'removed') {
    throw new VmletError('PRICE_GONE', { operands: { itemHash, status } });
  }
  if (status !== 'processed' && status !== 'removing') {
    throw new VmletError('PRICE_NOT_IN_FORCE', { operands: { itemHash, status } });
  }
  return readPriceable(found.message.type, found.message.content, { operand: itemHash });
}

function malformed(path: string, { found, wanted }: { found: string; wanted: string }): VmletError {
  return new VmletError('PRICE_CONTENT_MALFORMED', { operands: { path, found, wanted } });
}

/** Bytes of a file that is here; undefined for what is not, and for what names no file. */
export async function bytesOfFile(
  hash: string,
  { content }: { content: Pick<ApiComponents['content'], 'find'> },
): Promise<number | undefined> {
  const parsed = fileHashSchema.safeParse(hash);
  return parsed.success ? (await content.find(parsed.data))?.sizeBytes : undefined;
}
