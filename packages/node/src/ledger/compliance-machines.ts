import { expect, test } from 'vitest';
import { NetworkCode } from './codes.ts';
import { codesOf, type LedgerFixture, type MakeLedger, putFiles } from './compliance-fixture.ts';
import type { LedgerEvent } from './events.ts';
import { fileHashOf, makeAuthor } from './testing.ts';

const MIB = 1024 * 1024;

/** An owner with three files, and a STORE of the first. */
async function withStore(fixture: LedgerFixture) {
  const author = makeAuthor();
  await putFiles(fixture, 'one', 'two', 'three');
  const store = await author.store(fileHashOf('one'));
  expect(await codesOf(fixture, [store])).toEqual(['processed']);
  const update = (text: string, changes = {}) => author.store(fileHashOf(text), { ref: store.item_hash, ...changes });
  const updates: unknown[] = [];
  fixture.ledger.subscribe((event: LedgerEvent) => {
    if (event.type === 'updated') updates.push([event.itemHash, event.refs]);
  });
  return { author, store, ref: store.item_hash, update, updates };
}

/** Instances, and what programs and instances use. */
export function running(makeFixture: MakeLedger): void {
  instances(makeFixture);
  updating(makeFixture);
}

function instances(makeFixture: MakeLedger): void {
  test('instance: waits for its root filesystem and its volumes, and is found in force', async () => {
    await using fixture = await makeFixture();
    const { author, ref } = await withStore(fixture);
    const volume = await author.store(fileHashOf('two'));
    const instance = await author.instance({ rootfs: ref }, { volumes: [{ ref: volume.item_hash, mount: '/data' }] });
    expect(await codesOf(fixture, [instance])).toEqual([NetworkCode.VM_VOLUME_MISSING]);
    expect(fixture.ledger.instances()).toEqual([]);
    await codesOf(fixture, [volume]);
    expect(fixture.ledger.instances().map(({ itemHash }) => itemHash)).toEqual([instance.item_hash]);
    expect(fixture.ledger.instance(instance.item_hash)?.content.rootfs.parent.ref).toBe(ref);
    expect(fixture.ledger.programs()).toEqual([]);
    expect(fixture.ledger.programsUsing(volume.item_hash)).toMatchObject([{ itemHash: instance.item_hash }]);
    expect(await codesOf(fixture, [await author.forget(volume.item_hash)])).toEqual([NetworkCode.FORGET_NOT_ALLOWED]);
    await codesOf(fixture, [await author.forget(instance.item_hash, volume.item_hash)]);
    expect(fixture.ledger.instances()).toEqual([]);
  });

  test('instance: is rejected, when a volume is smaller than what it is a copy of', async () => {
    await using fixture = await makeFixture();
    const { author, ref } = await withStore(fixture);
    const text = 'x'.repeat(MIB + 1);
    await putFiles(fixture, text);
    const large = await author.store(fileHashOf(text));
    const copy = { name: 'v', mount: '/v', persistence: 'host', parent: { ref: large.item_hash } };
    const codes = await codesOf(fixture, [
      large,
      await author.instance({ rootfs: large.item_hash, sizeMib: 1 }),
      await author.instance({ rootfs: large.item_hash, sizeMib: 2 }),
      await author.instance({ rootfs: ref }, { volumes: [{ ...copy, size_mib: 1 }] }),
      await author.program({ code: ref, runtime: ref }, { volumes: [{ ...copy, size_mib: 1 }] }),
    ]);
    expect(codes).toEqual(['processed', 304, 'processed', 304, 304]);
  });

  test('instance: is replaced by its owner where it allows that, and by an instance only', async () => {
    await using fixture = await makeFixture();
    const { author, ref } = await withStore(fixture);
    const original = await author.instance({ rootfs: ref }, { allow_amend: true });
    const fixed = await author.instance({ rootfs: ref });
    const replaces = original.item_hash;
    const next = await author.instance({ rootfs: ref }, { replaces });
    const codes = await codesOf(fixture, [
      next,
      original,
      fixed,
      await author.instance({ rootfs: ref }, { replaces: fixed.item_hash }),
      await author.instance({ rootfs: ref }, { replaces: next.item_hash }),
      await makeAuthor().instance({ rootfs: ref }, { replaces }),
      await author.program({ code: ref, runtime: ref }, { replaces }),
      await author.instance({ rootfs: ref }, { replaces: 'no hash' }),
    ]);
    expect(codes).toEqual([300, 'processed', 'processed', 302, 303, 2, 300, 300]);
    expect(fixture.ledger.replacementOf(replaces)?.itemHash).toBe(next.item_hash);
    await codesOf(fixture, [await author.forget(replaces)]);
    const late = await author.instance({ rootfs: ref }, { replaces });
    expect(await codesOf(fixture, [late])).toEqual([NetworkCode.FORGOTTEN_DUPLICATE]);
    expect(fixture.ledger.instances().map(({ itemHash }) => itemHash)).toEqual([fixed.item_hash]);
  });
}

function updating(makeFixture: MakeLedger): void {
  test('updated: tells of a ref that leads to another STORE, and who uses it with use_latest', async () => {
    await using fixture = await makeFixture();
    const { author, ref, update, updates } = await withStore(fixture);
    const latest = await author.program({ code: ref, runtime: ref });
    const exact = await author.instance(
      { rootfs: ref },
      { rootfs: { parent: { ref, use_latest: false }, persistence: 'host', size_mib: 1 } },
    );
    await codesOf(fixture, [latest, exact]);
    expect(fixture.ledger.programsUsing(ref).map(({ itemHash }) => itemHash)).toEqual([latest.item_hash]);
    const [second, third] = [await update('two'), await update('three')];
    expect(await codesOf(fixture, [third, second])).toEqual(['processed', 'processed']);
    expect(updates).toEqual([[third.item_hash, [ref]]]);
    const forget = await author.forget(third.item_hash);
    await codesOf(fixture, [forget]);
    expect(updates.at(-1)).toEqual([forget.item_hash, [ref]]);
    expect(fixture.ledger.store(ref, { latest: true })?.fileHash).toBe(fileHashOf('two'));
  });

  test('updated: tells of a program that was replaced, and of its replacement that is gone', async () => {
    await using fixture = await makeFixture();
    const { author, ref, updates } = await withStore(fixture);
    const refs = { code: ref, runtime: ref };
    const original = await author.program(refs, { allow_amend: true });
    const replacement = await author.program(refs, { replaces: original.item_hash });
    await codesOf(fixture, [original, replacement]);
    expect(updates).toEqual([[replacement.item_hash, [original.item_hash]]]);
    const forget = await author.forget(replacement.item_hash);
    await codesOf(fixture, [forget]);
    expect(updates.at(-1)).toEqual([forget.item_hash, [original.item_hash]]);
    expect(fixture.ledger.replacementOf(original.item_hash)).toBeUndefined();
  });

  test('store: keeps the updates of what is forgotten, and a name of its owner’s choice for each owner', async () => {
    await using fixture = await makeFixture();
    const { author, ref, update } = await withStore(fixture);
    const [before, after] = [await update('two'), await update('three')];
    const forget = await author.forget(ref);
    const others = await makeAuthor().store(fileHashOf('three'), { ref: 'site' });
    const named = [
      await author.store(fileHashOf('one'), { ref: 'site' }),
      await author.store(fileHashOf('two'), { ref: 'site' }),
    ];
    const codes = await codesOf(fixture, [before, forget, after, others, ...named]);
    expect(codes).toEqual(Array.from({ length: 6 }, () => 'processed'));
    expect(fixture.ledger.store(ref)).toBeUndefined();
    expect(fixture.ledger.store(ref, { latest: true })?.itemHash).toBe(after.item_hash);
    const tag = (owner: string) => fixture.ledger.store(`${owner.toLowerCase()}/site`, { latest: true })?.fileHash;
    expect(tag(author.signer.address)).toBe(fileHashOf('two'));
    expect(tag(others.sender)).toBe(fileHashOf('three'));
  });
}
