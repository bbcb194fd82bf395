import type { ItemHash } from '@vmlet/messages';
import { type ContentOf, sameAddress } from '@vmlet/messages/schema';
import { NetworkCode } from '../codes.ts';
import { type Applying, type Outcome, pending, processed, rejected } from './outcome.ts';

/** Puts a PROGRAM in force once every STORE that it uses is in force. */
export function applyProgram(applying: Applying<'PROGRAM'>): Outcome {
  const { envelope, content, tables } = applying;
  const refs = refsOf(content);
  const fault = badReplacement(applying) ?? missingRefs(applying, refs);
  if (fault !== undefined) return fault;
  tables.insertProgram({
    itemHash: envelope.item_hash,
    address: content.address,
    replaces: content.replaces,
    time: content.time,
    refs,
  });
  return processed(content);
}

/** The STOREs a program uses, each once. */
export function refsOf(content: ContentOf<'PROGRAM'>): ItemHash[] {
  const refs = [content.code.ref, content.runtime.ref, content.data?.ref];
  for (const volume of content.volumes) {
    if ('ref' in volume) refs.push(volume.ref);
    else if ('parent' in volume) refs.push(volume.parent?.ref);
  }
  return [...new Set(refs.filter((ref) => ref !== undefined))];
}

function missingRefs({ content, tables }: Applying<'PROGRAM'>, refs: ItemHash[]): Outcome | undefined {
  const isThere = (ref: ItemHash) =>
    tables.store(ref) !== undefined || (ref === content.runtime.ref && tables.standIn(ref));
  const missing = refs.filter((ref) => !isThere(ref));
  const hopeless = missing.find((ref) => ['processed', 'forgotten'].includes(tables.message(ref)?.status ?? ''));
  if (hopeless !== undefined) {
    const fault = `Cannot use '${hopeless}': not a STORE in force, expected one`;
    return rejected(NetworkCode.VM_VOLUME_MISSING, fault);
  }
  if (missing.length === 0) return undefined;
  return pending(
    NetworkCode.VM_VOLUME_MISSING,
    missing.map((wanted) => ({ kind: 'message', wanted })),
  );
}

function badReplacement({ content, tables }: Applying<'PROGRAM'>): Outcome | undefined {
  const target = content.replaces;
  if (target === undefined) return undefined;
  const original = tables.program(target);
  if (original === undefined) {
    const status = tables.message(target)?.status;
    if (status !== 'processed' && status !== 'forgotten') {
      return pending(NetworkCode.VM_REF_MISSING, [{ kind: 'message', wanted: target }]);
    }
    return rejected(NetworkCode.VM_REF_MISSING, `Cannot replace '${target}': not a PROGRAM in force, expected one`);
  }
  if (!sameAddress(original.content.address, content.address)) {
    const owner = original.content.address;
    return rejected(NetworkCode.PERMISSION, `Cannot replace '${target}': owned by '${owner}', expected the owner`);
  }
  if (original.content.replaces !== undefined) {
    return rejected(
      NetworkCode.VM_UPDATE_OF_UPDATE,
      `Cannot replace '${target}': itself an update, expected an original`,
    );
  }
  if (original.content.allow_amend) return undefined;
  return rejected(NetworkCode.VM_AMEND_NOT_ALLOWED, `Cannot replace '${target}': allow_amend is false, expected true`);
}
