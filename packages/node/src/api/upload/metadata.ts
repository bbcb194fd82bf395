import type { FileHash } from '@vmlet/messages';
import type { ContentOf } from '@vmlet/messages/schema';
import * as z from 'zod';
import { VmletError } from '../../errors.ts';
import { NetworkCode } from '../../ledger/index.ts';
import type { ApiComponents } from '../components.ts';
import type { Intake } from './intake.ts';

/** The part `metadata` of an upload, found in order. */
export interface UploadMetadata {
  /** The signed STORE message, as it came. */
  readonly message: unknown;
  /** The file_hash it names. */
  readonly expected: FileHash;
  readonly sync: boolean;
  /** Whose file it becomes. */
  readonly owner: string;
  /** How long the file may be. */
  readonly maxBytes: number;
}

const metadataSchema = z.object({ message: z.record(z.string(), z.unknown()), sync: z.boolean().nullish() });

/**
 * Reads the part `metadata` and refuses what would be refused later, before a byte of the file is taken.
 *
 * @throws VmletError `UPLOAD_MALFORMED`, `MESSAGE_MALFORMED`, `MESSAGE_SIGNATURE`, `MESSAGE_REJECTED`,
 *   `MESSAGE_FORGOTTEN`, `PUBLISH_FORBIDDEN`, `PUBLISH_BLOCKED`
 */
export function readMetadata(
  text: string,
  { components, intake }: { components: ApiComponents; intake: Pick<Intake, 'itemType' | 'maxBytes'> },
): UploadMetadata {
  const { ledger, admission, policy } = components;
  const { message, sync } = parse(text);
  const { envelope, content, rejection } = ledger.check(message);
  const { item_hash: itemHash, sender } = envelope;
  if (envelope.type !== 'STORE' || content === undefined) throw malformed('its message is not an inline STORE');
  const store = content as ContentOf<'STORE'>;
  if (store.item_type !== intake.itemType)
    throw malformed(`its STORE has item_type "${store.item_type}" in place of "${intake.itemType}"`);
  if (rejection?.code === NetworkCode.SIGNATURE) {
    throw new VmletError('MESSAGE_SIGNATURE', { operands: { itemHash, sender }, detail: rejection.errors.join('\n') });
  }
  admission.mayPublish(sender);
  if (rejection !== undefined) {
    const operands = { itemHash, code: rejection.code, cause: rejection.errors.join('; ') };
    throw new VmletError('MESSAGE_REJECTED', { operands });
  }
  policy.mayKeep(store.item_hash);
  if (ledger.get(itemHash)?.status === 'forgotten')
    throw new VmletError('MESSAGE_FORGOTTEN', { operands: { itemHash } });
  const maxBytes = admission.trusts(sender) ? intake.maxBytes.trusted : intake.maxBytes.signed;
  return { message, expected: store.item_hash, sync: sync ?? false, owner: store.address, maxBytes };
}

function parse(text: string): z.output<typeof metadataSchema> {
  try {
    return metadataSchema.parse(JSON.parse(text));
  } catch (error) {
    if (!(error instanceof z.ZodError || error instanceof SyntaxError)) throw error;
    throw malformed('its metadata is not a JSON object with the member "message"');
  }
}

function malformed(cause: string): VmletError {
  return new VmletError('UPLOAD_MALFORMED', { operands: { cause } });
}
