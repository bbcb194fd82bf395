import type { ItemHash } from '@vmlet/messages';
import { type ContentOf, itemHashSchema, sameAddress } from '@vmlet/messages/schema';
import { NetworkCode } from '../codes.ts';
import { type Applying, isAwaited, type Outcome, pending, processed, rejected } from './outcome.ts';
import type { LedgerTables, MachineRef } from './tables.ts';

type MachineType = 'PROGRAM' | 'INSTANCE';

/** A volume that begins as a copy of a STORE, and its size. */
interface Copy extends MachineRef {
  sizeMib: number;
}

const MIB = 1024 * 1024;

/** Puts a PROGRAM in force once every STORE that it uses is in force. */
export function applyProgram(applying: Applying<'PROGRAM'>): Outcome {
  const { code, runtime, data } = applying.content;
  const refs = [code, runtime].map(({ ref, use_latest: useLatest }) => ({ ref, useLatest }));
  if (data?.ref !== undefined) refs.push({ ref: data.ref, useLatest: data.use_latest ?? false });
  return applyMachine(applying, { type: 'PROGRAM', refs, copies: [], runtime: runtime.ref });
}

/** Puts an INSTANCE in force once its root filesystem and every other STORE that it uses are in force. */
export function applyInstance(applying: Applying<'INSTANCE'>): Outcome {
  const { parent, size_mib: sizeMib } = applying.content.rootfs;
  const rootfs = { ref: parent.ref, useLatest: parent.use_latest, sizeMib };
  return applyMachine(applying, { type: 'INSTANCE', refs: [], copies: [rootfs] });
}

function applyMachine(
  applying: Applying<MachineType>,
  { type, runtime, ...own }: { type: MachineType; refs: MachineRef[]; copies: Copy[]; runtime?: ItemHash },
): Outcome {
  const { envelope, content, tables } = applying;
  const { replaces, address, time } = content;
  const used = withVolumes(own, content);
  const all = merged([...used.refs, ...used.copies]);
  const fault =
    badReplacement(applying, type) ?? missingRefs(tables, all, { runtime }) ?? tooSmall(tables, used.copies);
  if (fault !== undefined) return fault;
  const traits = { updates: replaces, allowAmend: content.allow_amend };
  // Whoever forgets a program forgets what replaces it, sent before or after that.
  const isOfForgotten = replaces !== undefined && tables.message(replaces)?.status === 'forgotten';
  if (isOfForgotten) return { status: 'forgotten', traits, by: tables.forgottenBy(replaces) };
  tables.insertMachine({ type, itemHash: envelope.item_hash, address, replaces, time, refs: all });
  return processed(traits, { updatedRefs: replaces === undefined ? [] : [replaces] });
}

function withVolumes({ refs, copies }: { refs: MachineRef[]; copies: Copy[] }, content: ContentOf<MachineType>) {
  const all = { refs: [...refs], copies: [...copies] };
  for (const volume of content.volumes) {
    if ('ref' in volume) all.refs.push({ ref: volume.ref, useLatest: volume.use_latest });
    else if ('parent' in volume && volume.parent !== undefined) {
      const { ref, use_latest: useLatest } = volume.parent;
      all.copies.push({ ref, useLatest, sizeMib: volume.size_mib });
    }
  }
  return all;
}

/** Each STORE once: one that is named twice is used as it is, and as its newest update. */
function merged(refs: MachineRef[]): MachineRef[] {
  const all = new Map<ItemHash, boolean>();
  for (const { ref, useLatest } of refs) all.set(ref, useLatest || all.get(ref) === true);
  return [...all].map(([ref, useLatest]) => ({ ref, useLatest }));
}

function resolve(tables: LedgerTables, { ref, useLatest }: MachineRef) {
  return (useLatest ? tables.latest(ref) : undefined) ?? tables.store(ref);
}

function missingRefs(
  tables: LedgerTables,
  refs: MachineRef[],
  { runtime }: { runtime: ItemHash | undefined },
): Outcome | undefined {
  const isThere = (one: MachineRef) =>
    resolve(tables, one) !== undefined || (one.ref === runtime && tables.standIn(one.ref));
  const missing = refs.filter((one) => !isThere(one)).map(({ ref }) => ref);
  const hopeless = missing.find((ref) => !isAwaited(tables.message(ref)));
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

function tooSmall(tables: LedgerTables, copies: Copy[]): Outcome | undefined {
  for (const copy of copies) {
    const sizeBytes = resolve(tables, copy)?.sizeBytes ?? 0;
    if (sizeBytes <= copy.sizeMib * MIB) continue;
    const [wantedMib, ref] = [Math.ceil(sizeBytes / MIB), copy.ref];
    const fault = `Cannot copy '${ref}' to a volume: size_mib is ${copy.sizeMib}, expected at least ${wantedMib}`;
    return rejected(NetworkCode.VM_VOLUME_TOO_SMALL, fault);
  }
  return undefined;
}

function badReplacement({ content, tables }: Applying<MachineType>, type: MachineType): Outcome | undefined {
  const { replaces } = content;
  if (replaces === undefined) return undefined;
  const refuse = (code: NetworkCode, fault: string) => rejected(code, `Cannot replace '${replaces}': ${fault}`);
  if (!itemHashSchema.safeParse(replaces).success) {
    return refuse(NetworkCode.VM_REF_MISSING, 'not an item_hash, expected one');
  }
  const target = tables.message(replaces);
  if (target === undefined || isAwaited(target)) {
    return pending(NetworkCode.VM_REF_MISSING, [{ kind: 'message', wanted: replaces }]);
  }
  if (target.type !== type || target.status === 'removed') {
    return refuse(NetworkCode.VM_REF_MISSING, `not ${nameOf(type)} in force, expected one`);
  }
  if (!sameAddress(target.address ?? '', content.address)) {
    return refuse(NetworkCode.PERMISSION, `owned by '${target.address}', expected the owner`);
  }
  if (target.updates !== undefined) {
    return refuse(NetworkCode.VM_UPDATE_OF_UPDATE, 'itself an update, expected an original');
  }
  if (target.allowAmend) return undefined;
  return refuse(NetworkCode.VM_AMEND_NOT_ALLOWED, 'allow_amend is false, expected true');
}

function nameOf(type: MachineType): string {
  return type === 'PROGRAM' ? 'a PROGRAM' : 'an INSTANCE';
}
