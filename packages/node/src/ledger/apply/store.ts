import { itemHashSchema, sameAddress } from '@vmlet/messages/schema';
import { addressKey } from '../address-key.ts';
import { NetworkCode } from '../codes.ts';
import { type Applying, type Outcome, pending, processed, rejected } from './outcome.ts';

/** Puts a STORE in force once its file is here, and the STORE that it updates, if any. */
export function applyStore(applying: Applying<'STORE'>): Outcome {
  const { envelope, content, tables, fileSizeBytes } = applying;
  if (fileSizeBytes === undefined) {
    return pending(NetworkCode.FILE_UNAVAILABLE, [{ kind: 'file', wanted: content.item_hash }]);
  }
  const fault = badRef(applying);
  if (fault !== undefined) return fault;
  tables.insertStore({
    itemHash: envelope.item_hash,
    address: content.address,
    fileHash: content.item_hash,
    sizeBytes: fileSizeBytes,
    tag: tagOf(applying),
    isUpdate: content.ref !== undefined,
    time: content.time,
  });
  return processed(content);
}

/** A ref is the item_hash of the STORE being updated, or a name of the owner's choice. */
function badRef({ content, tables }: Applying<'STORE'>): Outcome | undefined {
  const { ref } = content;
  if (ref === undefined || !isItemHash(ref)) return undefined;
  const target = tables.message(ref);
  if (target === undefined || target.status === 'pending' || target.status === 'rejected') {
    return pending(NetworkCode.STORE_REF_MISSING, [{ kind: 'message', wanted: ref }]);
  }
  const store = tables.store(ref);
  if (store === undefined) {
    return rejected(NetworkCode.STORE_REF_MISSING, `Cannot update '${ref}': not a STORE in force, expected one`);
  }
  if (store.isUpdate) {
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
  return isItemHash(ref) ? ref : `${addressKey(content.address)}/${ref}`;
}

function isItemHash(text: string): boolean {
  return itemHashSchema.safeParse(text).success;
}
