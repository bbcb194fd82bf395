import { expect, test } from 'vitest';
import { NetworkCode } from './codes.ts';
import { codesOf, type LedgerFixture, type MakeLedger } from './compliance-fixture.ts';
import { type Author, makeAuthor } from './testing.ts';

/** An owner who has authorized a delegate. */
async function withDelegate(fixture: LedgerFixture, filters: object = {}) {
  const [owner, delegate] = [makeAuthor(), makeAuthor()];
  const authorizations = [{ address: delegate.signer.address.toLowerCase(), ...filters }];
  expect(await codesOf(fixture, [await owner.aggregate('security', { authorizations })])).toEqual(['processed']);
  const { address } = owner.signer;
  const post = async (by: Author, type = 'test') => await by.sign('POST', { address, type, content: 1 });
  return { owner, delegate, address, post };
}

/** Writing in another's name. */
export function authorizing(makeFixture: MakeLedger): void {
  filters(makeFixture);
  limits(makeFixture);
}

function filters(makeFixture: MakeLedger): void {
  test('security: lets a delegate write, and nobody else, until its owner takes that back', async () => {
    await using fixture = await makeFixture();
    const { owner, delegate, address, post } = await withDelegate(fixture);
    const first = await post(delegate);
    expect(fixture.ledger.check(first).rejection).toBeUndefined();
    expect(fixture.ledger.check(await post(makeAuthor())).rejection?.code).toBe(NetworkCode.PERMISSION);
    const aggregate = await delegate.aggregate('key', { a: 1 }, { address });
    expect(await codesOf(fixture, [first, aggregate, await post(makeAuthor())])).toEqual([
      'processed',
      'processed',
      NetworkCode.PERMISSION,
    ]);
    expect(fixture.ledger.aggregate(address, ['key'])).toMatchObject([{ address, content: { a: 1 } }]);
    await codesOf(fixture, [await owner.aggregate('security', { authorizations: [] })]);
    expect(await codesOf(fixture, [await post(delegate, 'other')])).toEqual([NetworkCode.PERMISSION]);
  });

  test.each<[string, object, boolean]>([
    ['of another chain', { chain: 'SOL' }, false],
    ['of its chain', { chain: 'ETH' }, true],
    ['of other types', { types: ['STORE'] }, false],
    ['of its type', { types: ['STORE', 'POST'] }, true],
    ['of other post types', { post_types: ['blog'] }, false],
    ['of its post type', { types: ['POST'], post_types: ['test'] }, true],
    ['of a channel that it is not in', { channels: ['A'] }, false],
    ['of aggregate keys, which it has none of', { aggregate_keys: ['key'] }, true],
    ['of empty lists', { types: [], channels: [], post_types: [] }, true],
    ['of one that fits and one that does not', { chain: 'ETH', post_types: ['blog'] }, false],
    ['that is no list', { types: 'POST' }, false],
  ])('security: a filter %s decides', async (_what, given, isPermitted) => {
    await using fixture = await makeFixture();
    const { delegate, post } = await withDelegate(fixture, given);
    const expected = isPermitted ? 'processed' : NetworkCode.PERMISSION;
    expect(await codesOf(fixture, [await post(delegate)])).toEqual([expected]);
  });

  test('security: an amend is judged by the type of its original, and waits for it', async () => {
    await using fixture = await makeFixture();
    const { owner, delegate, address } = await withDelegate(fixture, { post_types: ['blog'] });
    const blog = await owner.sign('POST', { type: 'blog', content: 1 });
    const note = await owner.sign('POST', { type: 'note', content: 1 });
    const amends = [];
    for (const { item_hash: ref } of [blog, note]) {
      amends.push(await delegate.sign('POST', { address, type: 'amend', ref, content: 2 }));
    }
    expect(await codesOf(fixture, [...amends, blog, note])).toEqual([101, 101, 'processed', 'processed']);
    const found = amends.map(({ item_hash }) => fixture.ledger.get(item_hash));
    expect(found).toMatchObject([{ status: 'processed' }, { status: 'rejected', error_code: 2 }]);
  });
}

function limits(makeFixture: MakeLedger): void {
  test('security: is for its owner alone to write and to forget', async () => {
    await using fixture = await makeFixture();
    const { owner, delegate, address, post } = await withDelegate(fixture);
    const authorizations = [{ address: makeAuthor().signer.address }];
    const taken = await delegate.aggregate('security', { authorizations }, { address });
    const security = await owner.aggregate('security', { x: 1 });
    await codesOf(fixture, [security]);
    const attempts = [
      taken,
      await delegate.sign('AGGREGATE', { address, key: { name: 'security' }, content: { authorizations } }),
      await delegate.sign('FORGET', { address, hashes: [security.item_hash] }),
      await delegate.sign('FORGET', { address, hashes: [], aggregates: ['security'] }),
    ];
    expect(await codesOf(fixture, attempts)).toEqual([2, 2, 2, 2]);
    expect(await codesOf(fixture, [await post(delegate)])).toEqual(['processed']);
  });

  test('security: a delegate forgets what it might have written, and no more', async () => {
    await using fixture = await makeFixture();
    const { owner, delegate, address } = await withDelegate(fixture, {
      types: ['POST', 'FORGET'],
      post_types: ['blog'],
    });
    const blog = await owner.sign('POST', { type: 'blog', content: 1 });
    const note = await owner.sign('POST', { type: 'note', content: 1 });
    const aggregate = await owner.aggregate('key', {});
    await codesOf(fixture, [blog, note, aggregate]);
    const forget = (...hashes: string[]) => delegate.sign('FORGET', { address, hashes });
    const codes = await codesOf(fixture, [
      await forget(note.item_hash),
      await forget(blog.item_hash, aggregate.item_hash),
      await forget(blog.item_hash),
      await delegate.sign('FORGET', { address, hashes: [], aggregates: ['key'] }),
    ]);
    expect(codes).toEqual([2, 2, 'processed', 2]);
    expect(fixture.ledger.get(blog.item_hash)?.status).toBe('forgotten');
  });

  test('security: copies of a message that another one signed change nothing, when that one is not authorized', async () => {
    await using fixture = await makeFixture();
    const { owner, delegate, post } = await withDelegate(fixture, { channels: ['A'] });
    const own = await post(owner);
    const signAs = async (by: Author, channel?: string) => {
      const part = { chain: 'ETH', sender: by.signer.address, type: 'POST', item_hash: own.item_hash } as const;
      const rest = { time: own.time + 1, item_type: 'inline', item_content: own.item_content } as const;
      return { ...part, ...rest, signature: await by.signer.sign(part), ...(channel ? { channel } : {}) };
    };
    const copies = [await signAs(delegate, 'A'), await signAs(delegate, 'B'), await signAs(makeAuthor())];
    expect(await codesOf(fixture, copies)).toEqual(['processed', 2, 2]);
    expect(fixture.ledger.get(own.item_hash)).toMatchObject({ message: { sender: delegate.signer.address } });
    // The owner's own signature counts for more, whenever it comes.
    expect(await codesOf(fixture, [own, ...copies])).toEqual(['processed', 'processed', 2, 2]);
    expect(fixture.ledger.get(own.item_hash)).toMatchObject({ message: own });
  });
}
