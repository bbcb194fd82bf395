import { topicOf } from '../check/permission.ts';
import { NetworkCode } from '../codes.ts';
import { type Applying, type Outcome, processed, rejected } from './outcome.ts';

/** Each is a row of its own: of more, one message would hold up all others. */
export const MAX_AGGREGATE_MEMBERS = 10_000;

/** Merges an AGGREGATE into its key, member by member: what was signed last counts, in whatever order they come. */
export function applyAggregate({ envelope, content, tables }: Applying<'AGGREGATE'>): Outcome {
  const key = topicOf(content) ?? '';
  const count = Object.keys(content.content).length;
  if (count > MAX_AGGREGATE_MEMBERS) {
    const fault = `Cannot merge '${key}': $.content has ${count} members, expected at most ${MAX_AGGREGATE_MEMBERS}`;
    return rejected(NetworkCode.FORMAT, fault);
  }
  const { address, time } = content;
  const by = tables.keyForgottenBy(address, { key, since: time });
  if (by.length > 0) return { status: 'forgotten', traits: { topic: key }, by };
  tables.insertElement({ itemHash: envelope.item_hash, address, key, time, content: content.content });
  return processed({ topic: key });
}
