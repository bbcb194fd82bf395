import type { Envelope } from '@vmlet/messages';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type MakeLedger, putFiles } from './compliance-fixture.ts';
import type { Ledger } from './log.ts';
import { type Author, fileHashOf, makeAuthor } from './testing.ts';

/** Whether the order of arrival matters, which it must not. */
export function converging(makeFixture: MakeLedger): void {
  test('accept: the same messages come to the same state, in whatever order they arrive', async () => {
    const author = makeAuthor();
    const { messages, files } = await universe(author, makeAuthor());
    const stateAfter = async (order: readonly Envelope[]) => {
      await using fixture = await makeFixture({ delayMs: 1_000_000 });
      await putFiles(fixture, ...files);
      for (const message of order) await fixture.ledger.accept(message);
      return stateOf(fixture.ledger, { messages, owner: author.signer.address });
    };
    const subset = fc.shuffledSubarray(messages, { minLength: messages.length >> 1 });
    const orders = subset.chain((some) =>
      fc.tuple(fc.constant(some), fc.shuffledSubarray(some, { minLength: some.length })),
    );
    const numRuns = process.env.VMLET_TEST_ALL ? 300 : 12;
    await fc.assert(
      fc.asyncProperty(orders, async ([one, other]) => {
        expect(await stateAfter(other)).toEqual(await stateAfter(one));
      }),
      { numRuns },
    );
  });
}

/** Messages of which nearly each has to do with another one. */
async function universe(author: Author, stranger: Author): Promise<{ messages: Envelope[]; files: string[] }> {
  const store = await author.store(fileHashOf('one'));
  const refs = { code: store.item_hash, runtime: store.item_hash };
  const program = await author.program(refs, { allow_amend: true });
  const post = await author.post('first');
  const [amend, newer] = [await author.amend(post.item_hash, 'second'), await author.amend(post.item_hash, 'third')];
  const elements = [await author.aggregate('key', { a: 1 }), await author.aggregate('key', { a: 2, b: 2 })];
  const replacement = await author.program(refs, { replaces: program.item_hash });
  const messages = [
    ...[store, program, replacement, post, amend, newer, ...elements],
    ...[
      await author.store(fileHashOf('two'), { ref: store.item_hash }),
      await author.store(fileHashOf('two'), { ref: 'n' }),
    ],
    await author.store(fileHashOf('three'), { ref: store.item_hash }),
    await author.store(fileHashOf('never'), { ref: store.item_hash }),
    await author.program(refs, { replaces: replacement.item_hash }),
    await author.instance({ rootfs: store.item_hash }, { allow_amend: true }),
    ...[await author.amend(amend.item_hash, 'x'), await stranger.amend(post.item_hash, 'x')],
    ...[await author.forget(post.item_hash), await author.forget(post.item_hash), await author.forget(newer.item_hash)],
    ...[await author.forget(program.item_hash), await stranger.forget(post.item_hash, store.item_hash)],
    ...[await author.forget(elements[1]?.item_hash ?? ''), await author.aggregate('key', { c: 3 })],
    await author.sign('FORGET', { hashes: [], aggregates: ['key'] }),
    ...[await author.aggregate('key', { c: 4 }), await author.aggregate('other', { z: [1] })],
  ];
  const filed = await author.post('filed');
  return {
    messages: [...messages, ...copiesOf(post), ...copiesOf(filed, 'storage')],
    files: ['one', 'two', 'three', filed.item_content ?? ''],
  };
}

/** What anyone can make of a message. */
function copiesOf(message: Envelope, itemType: 'inline' | 'storage' = 'inline'): Envelope[] {
  const { item_content: text = '', ...rest } = message;
  const stored = { ...rest, item_type: 'storage' } as const;
  const base: Envelope = itemType === 'storage' ? stored : message;
  const copies = [
    { ...base, time: base.time + 9 },
    { ...base, channel: 'REPLAY' },
    { ...base, time: base.time - 9, channel: 'A' },
    { ...stored, channel: 'B' },
  ];
  return [
    ...copies,
    ...(itemType === 'storage'
      ? [{ ...stored, item_type: 'inline', item_content: text, time: base.time + 5 } as const]
      : []),
  ];
}

function stateOf(ledger: Ledger, { messages, owner }: { messages: readonly Envelope[]; owner: string }) {
  const hashes = [...new Set(messages.map(({ item_hash }) => item_hash))];
  const states = hashes.map((hash) => {
    const { reception_time: _at, ...state } = ledger.get(hash) ?? { reception_time: '', status: 'none' };
    // What it waits for is told as of its last try, and a rejected message may come again as another copy.
    if (state.status === 'pending' || state.status === 'rejected')
      return [hash, state.status, 'error_code' in state && state.error_code];
    return [hash, state];
  });
  return {
    states: Object.fromEntries(states.map(([hash, ...state]) => [hash, state])),
    aggregates: ledger.aggregate(owner),
    stores: ledger.storesOf(owner).map(({ itemHash }) => itemHash),
    latest: hashes.map((hash) => ledger.store(hash, { latest: true })?.itemHash),
    replacements: hashes.map((hash) => ledger.replacementOf(hash)?.itemHash),
    programs: ledger
      .programs()
      .map(({ itemHash }) => itemHash)
      .toSorted(),
    using: hashes.map((hash) =>
      ledger
        .programsUsing(hash)
        .map(({ itemHash }) => itemHash)
        .toSorted(),
    ),
  };
}
