import { itemHashSchema, sameAddress } from '@vmlet/messages/schema';
import { addressKey } from '../address-key.ts';
import { NetworkCode } from '../codes.ts';
import { type Applying, isAwaited, type Outcome, pending, processed, rejected } from './outcome.ts';

/** Puts a STORE in force once its file is here, and the STORE that it updates, if any. */
export function applyStore(applying: Applying<'STORE'>): Outcome {
  const { envelope, content, tables, fileSizeBytes } = applying;
  if (fileSizeBytes === undefined) {
    return pending(NetworkCode.FILE_UNAVAILABLE, [{ kind: 'file', wanted: content.item_hash }]);
  }
  const fault = badRef(applying);
  if (fault !== undefined) return fault;
  const tag = tagOf(applying);
  const before = tables.latest(tag);
  tables.insertStore({
    itemHash: envelope.item_hash,
    address: content.address,
    fileHash: content.item_hash,
    sizeBytes: fileSizeBytes,
    tag,
    isUpdate: content.ref !== undefined,
    time: content.time,
  });
  const isNewest = tables.latest(tag)?.itemHash === envelope.item_hash;
  const updatedRefs = before !== undefined && isNewest ? [tag] : [];
  return processed({ updates: updated(content.ref) }, { updatedRefs });
}

/**
 * A ref is the item_hash of the STORE being updated, or a name of the owner's choice. An update stays in force when its
 * original is forgotten, so that it does not matter which of the two came first.
 */
function badRef({ content, tables }: Applying<'STORE'>): Outcome | undefined {
  const ref = updated(content.ref);
  if (ref === undefined) return undefined;
  const target = tables.message(ref);
  if (target === undefined || isAwaited(target)) {
    return pending(NetworkCode.STORE_REF_MISSING, [{ kind: 'message', wanted: ref }]);
  }
  if (target.type !== 'STORE' || target.status === 'removed') {
    return rejected(NetworkCode.STORE_REF_MISSING, `Cannot update '${ref}': not a STORE in force, expected one`);
  }
  if (target.updates !== undefined) {
    return rejected(
      NetworkCode.STORE_UPDATE_OF_UPDATE,
      `Cannot update '${ref}': itself an update, expected an original`,
    );
  }
  if (!sameAddress(target.address ?? '', content.address)) {
    return rejected(NetworkCode.PERMISSION, `Cannot update '${ref}': owned by '${target.address}', expected the owner`);
  }
  return undefined;
}

function tagOf({ envelope, content }: Applying<'STORE'>): string {
  const { ref } = content;
  if (ref === undefined) return envelope.item_hash;
  return updated(ref) ?? `${addressKey(content.address)}/${ref}`;
}

/** The STORE that a ref names; undefined for a name of the owner's choice. */
function updated(ref: string | undefined): string | undefined {
  return ref !== undefined && itemHashSchema.safeParse(ref).success ? ref : undefined;
}
