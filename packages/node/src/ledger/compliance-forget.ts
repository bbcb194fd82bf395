import { expect, test } from 'vitest';
import { NetworkCode } from './codes.ts';
import type { LedgerFixture, MakeLedger } from './compliance-fixture.ts';
import { bytesOf, fileHashOf, makeAuthor } from './testing.ts';

async function withProgram({ ledger, content }: LedgerFixture) {
  const author = makeAuthor();
  await content.put(bytesOf('code'), { maxBytes: 9 });
  await content.put(bytesOf('runtime'), { maxBytes: 9 });
  const code = await author.store(fileHashOf('code'), { metadata: { name: 'app' } });
  const runtime = await author.store(fileHashOf('runtime'));
  const program = await author.program({ code: code.item_hash, runtime: runtime.item_hash }, { allow_amend: true });
  for (const message of [code, runtime, program]) {
    expect(await ledger.accept(message)).toMatchObject({ status: 'processed' });
  }
  return { author, code, runtime, program };
}

/** Programs, and forgetting them. */
export function forgetting(makeFixture: MakeLedger): void {
  skeletons(makeFixture);
  refusals(makeFixture);
}

function skeletons(makeFixture: MakeLedger): void {
  test('program: is found with its content and its files, when in force', async () => {
    await using fixture = await makeFixture();
    const { author, code, program } = await withProgram(fixture);
    const { ledger } = fixture;
    expect(ledger.programs().map(({ itemHash }) => itemHash)).toEqual([program.item_hash]);
    expect(ledger.program(program.item_hash)).toMatchObject({
      type: 'PROGRAM',
      itemHash: program.item_hash,
      content: { address: author.signer.address, code: { ref: code.item_hash, entrypoint: 'main:app' } },
    });
    expect(ledger.store(code.item_hash)).toMatchObject({
      fileHash: fileHashOf('code'),
      sizeBytes: 4,
      content: { metadata: { name: 'app' } },
    });
    expect(ledger.program(code.item_hash)).toBeUndefined();
  });

  test('accept: leaves a skeleton of a forgotten message, for good', async () => {
    await using fixture = await makeFixture();
    const { author, program } = await withProgram(fixture);
    const { ledger } = fixture;
    const first = await author.forget(program.item_hash);
    const second = await author.forget(program.item_hash);
    expect((await ledger.accept(first)).status).toBe('processed');
    expect((await ledger.accept(second)).status).toBe('processed');
    const { item_content: _gone, ...skeleton } = program;
    expect(ledger.get(program.item_hash)).toEqual({
      status: 'forgotten',
      item_hash: program.item_hash,
      reception_time: expect.any(String),
      message: skeleton,
      forgotten_by: [first.item_hash, second.item_hash],
    });
    expect(ledger.program(program.item_hash)).toBeUndefined();
    expect((await ledger.accept(program)).status).toBe('forgotten');
    expect(ledger.programs()).toEqual([]);
  });
}

function refusals(makeFixture: MakeLedger): void {
  test('accept: refuses to forget a STORE that a program uses, unless both go', async () => {
    await using fixture = await makeFixture();
    const { author, code, runtime, program } = await withProgram(fixture);
    const { ledger } = fixture;
    const alone = await ledger.accept(await author.forget(code.item_hash));
    expect([alone.status, alone.reason?.code]).toEqual(['rejected', NetworkCode.FORGET_NOT_ALLOWED]);
    expect(ledger.store(code.item_hash)).toBeDefined();
    const both = await ledger.accept(await author.forget(code.item_hash, program.item_hash));
    expect(both.status).toBe('processed');
    expect(ledger.store(code.item_hash)).toBeUndefined();
    expect(ledger.store(runtime.item_hash)).toBeDefined();
  });

  test('accept: refuses to forget what is of another owner, a FORGET, or nothing', async () => {
    await using fixture = await makeFixture();
    const { author, program, code } = await withProgram(fixture);
    const { ledger } = fixture;
    const forget = await author.forget(program.item_hash);
    const codeOf = async (message: unknown) => (await ledger.accept(message)).reason?.code;
    // All or none: the own program stays because of the other one's.
    const others = makeAuthor();
    expect(await codeOf(await others.forget(program.item_hash))).toBe(NetworkCode.PERMISSION);
    expect(await codeOf(await author.forget())).toBe(NetworkCode.FORGET_NO_TARGET);
    expect(ledger.program(program.item_hash)).toBeDefined();
    expect(await codeOf(forget)).toBeUndefined();
    expect(await codeOf(await author.forget(forget.item_hash, code.item_hash))).toBe(NetworkCode.FORGET_OF_FORGET);
    expect(ledger.store(code.item_hash)).toBeDefined();
  });

  test('accept: forgets what replaced a program along with it', async () => {
    await using fixture = await makeFixture();
    const { author, code, runtime, program } = await withProgram(fixture);
    const { ledger } = fixture;
    const refs = { code: code.item_hash, runtime: runtime.item_hash };
    const update = await author.program(refs, { replaces: program.item_hash });
    const ofUpdate = await author.program(refs, { replaces: update.item_hash });
    const stolen = await makeAuthor().program(refs, { replaces: program.item_hash });
    const answers = [];
    for (const message of [update, ofUpdate, stolen]) answers.push((await ledger.accept(message)).reason?.code);
    expect(answers).toEqual([undefined, NetworkCode.VM_UPDATE_OF_UPDATE, NetworkCode.PERMISSION]);
    await ledger.accept(await author.forget(program.item_hash));
    expect(ledger.programs()).toEqual([]);
    expect(ledger.get(update.item_hash)?.status).toBe('forgotten');
  });

  test('accept: rejects a program whose ref can never be a STORE in force', async () => {
    await using fixture = await makeFixture();
    const { author, code, program } = await withProgram(fixture);
    await fixture.ledger.accept(await author.forget(program.item_hash, code.item_hash));
    const post = await author.post('x');
    await fixture.ledger.accept(post);
    for (const ref of [code.item_hash, post.item_hash]) {
      const answer = await fixture.ledger.accept(await author.program({ code: ref, runtime: ref }));
      expect([answer.status, answer.reason?.code]).toEqual(['rejected', NetworkCode.VM_VOLUME_MISSING]);
    }
  });
}
