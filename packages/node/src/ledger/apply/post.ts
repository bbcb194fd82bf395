import { itemHashSchema, sameAddress } from '@vmlet/messages/schema';
import { NetworkCode } from '../codes.ts';
import { type Applying, isAwaited, type Outcome, pending, processed, rejected } from './outcome.ts';

/** Puts a POST in force. An amend needs the POST that it changes, of the same owner; what is forgotten takes it along. */
export function applyPost(applying: Applying<'POST'>): Outcome {
  const { content } = applying;
  if (content.type === 'amend') return applyAmend(applying);
  insert(applying, { amends: undefined });
  return processed({ topic: content.type });
}

function applyAmend(applying: Applying<'POST'>): Outcome {
  const { content, tables } = applying;
  const { ref } = content;
  if (typeof ref !== 'string' || !itemHashSchema.safeParse(ref).success) {
    return rejected(NetworkCode.AMEND_NO_TARGET, `Cannot amend: ref is '${ref}', expected the item_hash of a POST`);
  }
  const target = tables.message(ref);
  if (target === undefined || isAwaited(target)) {
    return pending(NetworkCode.AMEND_TARGET_MISSING, [{ kind: 'message', wanted: ref }]);
  }
  if (target.type !== 'POST' || target.status === 'removed') {
    const found = target.status === 'removed' ? 'removed' : `of type ${target.type}`;
    return rejected(NetworkCode.AMEND_TARGET_MISSING, `Cannot amend '${ref}': ${found}, expected a POST in force`);
  }
  if (target.updates !== undefined) {
    return rejected(NetworkCode.AMEND_OF_AMEND, `Cannot amend '${ref}': itself an amend, expected an original`);
  }
  if (!sameAddress(target.address ?? '', content.address)) {
    return rejected(NetworkCode.PERMISSION, `Cannot amend '${ref}': owned by '${target.address}', expected the owner`);
  }
  const traits = { topic: target.topic, updates: ref };
  if (target.status === 'forgotten') return { status: 'forgotten', traits, by: tables.forgottenBy(ref) };
  insert(applying, { amends: ref });
  return processed(traits);
}

function insert({ envelope, content, tables }: Applying<'POST'>, { amends }: { amends: string | undefined }): void {
  const ref = typeof content.ref === 'object' ? content.ref.item_hash : content.ref;
  tables.insertPost({
    itemHash: envelope.item_hash,
    address: content.address,
    postType: content.type,
    ref,
    amends,
    time: content.time,
  });
}
