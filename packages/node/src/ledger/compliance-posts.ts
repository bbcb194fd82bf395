import { expect, test } from 'vitest';
import { NetworkCode } from './codes.ts';
import { codesOf, type MakeLedger } from './compliance-fixture.ts';
import { makeAuthor } from './testing.ts';

/** Posts and their amends. */
export function posting(makeFixture: MakeLedger): void {
  test('amend: is in force for a post of the same owner, and waits for it', async () => {
    await using fixture = await makeFixture();
    const author = makeAuthor();
    const post = await author.post('one');
    const amend = await author.amend(post.item_hash, 'two');
    expect(await codesOf(fixture, [amend, post])).toEqual([NetworkCode.AMEND_TARGET_MISSING, 'processed']);
    expect(fixture.ledger.get(amend.item_hash)?.status).toBe('processed');
  });

  test('amend: is rejected, when it names nothing, an amend, no post, or what is of another owner', async () => {
    await using fixture = await makeFixture();
    const [author, other] = [makeAuthor(), makeAuthor()];
    const post = await author.post('one');
    const amend = await author.amend(post.item_hash, 'two');
    const aggregate = await author.aggregate('key', {});
    expect(await codesOf(fixture, [post, amend, aggregate])).toEqual(['processed', 'processed', 'processed']);
    const wrong = [
      await author.amend('no hash', 'x'),
      await author.amend(amend.item_hash, 'x'),
      await author.amend(aggregate.item_hash, 'x'),
      await other.amend(post.item_hash, 'x'),
    ];
    expect(await codesOf(fixture, wrong)).toEqual([
      NetworkCode.AMEND_NO_TARGET,
      NetworkCode.AMEND_OF_AMEND,
      NetworkCode.AMEND_TARGET_MISSING,
      NetworkCode.PERMISSION,
    ]);
  });

  test('forget: takes the amends of a post along, those that come later too', async () => {
    await using fixture = await makeFixture();
    const author = makeAuthor();
    const post = await author.post('one');
    const [before, after] = [await author.amend(post.item_hash, 'two'), await author.amend(post.item_hash, 'three')];
    const forget = await author.forget(post.item_hash);
    const codes = await codesOf(fixture, [post, before, forget, after]);
    expect(codes).toEqual(['processed', 'processed', 'processed', NetworkCode.FORGOTTEN_DUPLICATE]);
    for (const { item_hash } of [post, before, after]) {
      const forgotten = { status: 'forgotten', forgotten_by: [forget.item_hash] };
      expect(fixture.ledger.get(item_hash)).toMatchObject(forgotten);
      expect(JSON.stringify(fixture.ledger.get(item_hash))).not.toMatch(/one|two|three/);
    }
  });
}
