import { sameAddress } from '@vmlet/messages/schema';
import { NetworkCode } from '../codes.ts';
import type { AnyProcessedMessage } from '../records.ts';
import { type Applying, type Outcome, pending, processed, rejected } from './outcome.ts';

/**
 * Forgets messages of the same owner, all or none. What a program was replaced by goes with it. `aggregates` has no
 * effect yet, as AGGREGATE has none.
 */
export function applyForget(applying: Applying<'FORGET'>): Outcome {
  const { envelope, content, tables } = applying;
  const targets = [...new Set<string>(content.hashes)];
  if (targets.length === 0 && content.aggregates.length === 0) {
    return rejected(NetworkCode.FORGET_NO_TARGET, 'Cannot forget nothing: no hashes, expected at least one');
  }
  const fault = missingTargets(applying, targets) ?? firstFault(applying, targets);
  if (fault !== undefined) return fault;
  const forgotten: AnyProcessedMessage[] = [];
  for (const target of withReplacements(applying, targets)) {
    const message = tables.forget(target, { by: envelope.item_hash });
    if (message !== undefined) forgotten.push(message);
  }
  return processed(content, forgotten);
}

function missingTargets({ tables }: Applying<'FORGET'>, targets: string[]): Outcome | undefined {
  const missing = targets.filter((target) => {
    const status = tables.message(target)?.status;
    return status !== 'processed' && status !== 'forgotten';
  });
  if (missing.length === 0) return undefined;
  return pending(
    NetworkCode.FORGET_TARGET_MISSING,
    missing.map((wanted) => ({ kind: 'message', wanted })),
  );
}

function firstFault(applying: Applying<'FORGET'>, targets: string[]): Outcome | undefined {
  for (const target of targets) {
    const fault = faultOf(applying, { target, targets });
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function faultOf(
  { content, tables }: Applying<'FORGET'>,
  { target, targets }: { target: string; targets: string[] },
): Outcome | undefined {
  const found = tables.message(target);
  if (found?.type === 'FORGET') {
    return rejected(NetworkCode.FORGET_OF_FORGET, `Cannot forget '${target}': it is a FORGET, expected another type`);
  }
  if (!sameAddress(found?.address ?? '', content.address)) {
    return rejected(
      NetworkCode.PERMISSION,
      `Cannot forget '${target}': owned by '${found?.address}', expected the owner`,
    );
  }
  const user = tables.usersOf(target).find((program) => !targets.includes(program));
  if (user === undefined) return undefined;
  return rejected(
    NetworkCode.FORGET_NOT_ALLOWED,
    `Cannot forget '${target}': used by the program '${user}', expected no user`,
  );
}

/** Programs first, so that a STORE is free when its turn comes. */
function withReplacements({ tables }: Applying<'FORGET'>, targets: string[]): string[] {
  const replacements = targets.flatMap((target) => tables.replacementsOf(target));
  const all = [...new Set([...targets, ...replacements])];
  return all.sort((a, b) => Number(tables.program(b) !== undefined) - Number(tables.program(a) !== undefined));
}
