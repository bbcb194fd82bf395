import { addressKey } from '../address-key.ts';
import { notPermitted } from '../check/permission.ts';
import { NetworkCode } from '../codes.ts';
import type { AnyProcessedMessage } from '../records.ts';
import { type Applying, isAwaited, type Outcome, pending, processed, rejected, type Wait } from './outcome.ts';

/**
 * Forgets messages that the sender might have written, all or none. The amends of a post and what a program or instance
 * was replaced by go with it. `aggregates` are keys of the address: their AGGREGATEs that were signed until this one are
 * forgotten, also those that come later.
 */
export function applyForget(applying: Applying<'FORGET'>): Outcome {
  const { envelope, content, tables } = applying;
  const named = [...new Set<string>(content.hashes)];
  const keys = [...new Set(content.aggregates)];
  if (named.length === 0 && keys.length === 0) {
    const fault = 'Cannot forget nothing: no hashes and no aggregates, expected at least one';
    return rejected(NetworkCode.FORGET_NO_TARGET, fault);
  }
  const missing = missingTargets(applying, { named, keys });
  if (missing !== undefined) return missing;
  const elements = keys.flatMap((key) => tables.elements(content.address, { key, until: content.time }));
  const targets = withUpdates(applying, [...named, ...elements]);
  const fault = keyFault(applying, keys) ?? firstFault(applying, targets);
  if (fault !== undefined) return fault;
  const by = envelope.item_hash;
  const forgotten: AnyProcessedMessage[] = [];
  const updatedRefs = new Set<string>();
  for (const target of targets) {
    const gone = tables.forget(target, { by });
    if (gone.message !== undefined) forgotten.push(gone.message);
    for (const ref of gone.updatedRefs) updatedRefs.add(ref);
  }
  for (const key of keys) tables.insertKeyForget(content.address, { key, time: content.time, by });
  tables.rebuildAggregates();
  return processed({}, { forgotten, updatedRefs: [...updatedRefs] });
}

function missingTargets(
  { content, tables }: Applying<'FORGET'>,
  { named, keys }: { named: string[]; keys: string[] },
): Outcome | undefined {
  const { address } = content;
  const messages = named.filter((target) => isAwaited(tables.message(target)));
  const isAbsent = (key: string) =>
    !tables.hasHadAggregate(address, key) && tables.keyForgottenBy(address, { key, since: 0 }).length === 0;
  const waits: Wait[] = [
    ...messages.map((wanted): Wait => ({ kind: 'message', wanted })),
    ...keys.filter(isAbsent).map((key): Wait => ({ kind: 'aggregate', wanted: `${addressKey(address)}/${key}` })),
  ];
  return waits.length === 0 ? undefined : pending(NetworkCode.FORGET_TARGET_MISSING, waits);
}

function firstFault(applying: Applying<'FORGET'>, targets: ReadonlySet<string>): Outcome | undefined {
  for (const target of targets) {
    const fault = faultOf(applying, { target, targets });
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function faultOf(
  { envelope, tables }: Applying<'FORGET'>,
  { target, targets }: { target: string; targets: ReadonlySet<string> },
): Outcome | undefined {
  const found = tables.message(target);
  if (found === undefined) return undefined;
  if (found.type === 'FORGET') {
    return rejected(NetworkCode.FORGET_OF_FORGET, `Cannot forget '${target}': it is a FORGET, expected another type`);
  }
  const denied = notPermitted(envelope, { ...found, address: found.address ?? '' }, (owner) => tables.security(owner));
  if (denied !== undefined) {
    return rejected(
      NetworkCode.PERMISSION,
      `Cannot forget '${target}': owned by '${found.address}', expected the owner or one that may write it`,
    );
  }
  const user = tables.machinesUsing(target).find((machine) => !targets.has(machine));
  if (user === undefined) return undefined;
  return rejected(NetworkCode.FORGET_NOT_ALLOWED, `Cannot forget '${target}': used by '${user}', expected no user`);
}

/** A delegate may be allowed to forget in an owner's name and yet not to write a key. */
function keyFault({ envelope, content, tables }: Applying<'FORGET'>, keys: string[]): Outcome | undefined {
  for (const topic of keys) {
    const deed = { address: content.address, type: 'AGGREGATE', channel: envelope.channel, topic } as const;
    const denied = notPermitted(envelope, deed, (owner) => tables.security(owner));
    if (denied !== undefined) return rejected(NetworkCode.PERMISSION, denied.errors.join('; '));
  }
  return undefined;
}

/** Programs and instances first, so that a STORE is free when its turn comes. */
function withUpdates({ tables }: Applying<'FORGET'>, targets: string[]): ReadonlySet<string> {
  const all = [...new Set([...targets, ...targets.flatMap((target) => tables.updatesOf(target))])];
  const isStore = (target: string) => Number(tables.message(target)?.type === 'STORE');
  return new Set(all.sort((a, b) => isStore(a) - isStore(b)));
}
