import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MessageError, parseContent, parseEnvelope, readApiMessage, verifySignature } from '@vmlet/messages';
import { createEvmSigner, type Signable } from '@vmlet/messages/sign';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Answer, type ApiFixture, startApi } from '../../packages/node/src/api/testing.ts';
import { inputs } from '../framework/variants.ts';
import { type Json, mutationsOf, singleMutations } from './json-mutations.ts';

/** Real messages of the reference network, of each type, as they were broadcast. */
const REFERENCE = join(import.meta.dirname, '../../packages/messages/vectors/reference');
const MESSAGES = readdirSync(REFERENCE)
  .filter((name) => name.endsWith('.json'))
  .map((name) => [name, readApiMessage(JSON.parse(readFileSync(join(REFERENCE, name), 'utf8'))).envelope] as const);
const ENVELOPES = MESSAGES.map(([, envelope]) => JSON.parse(JSON.stringify(envelope)) as Json);

const SIGNER = createEvmSigner(new Uint8Array(32).fill(3));
const TYPES = ['POST', 'AGGREGATE', 'STORE', 'PROGRAM', 'INSTANCE', 'FORGET'] as const;

/** Their contents, as ours: so that what comes after the signature is reached as well. */
const CONTENTS = MESSAGES.flatMap(([, { type, item_content: text }]) =>
  text === undefined ? [] : [{ type, content: { ...JSON.parse(text), address: SIGNER.address } as Json }],
);

/** A message of ours with any content, signed as it should be. */
async function signedOf(type: string, content: Json): Promise<Json> {
  const item_content = JSON.stringify(content);
  const item_hash = createHash('sha256').update(item_content).digest('hex');
  const part = { chain: 'ETH', sender: SIGNER.address, type, item_hash } as Signable;
  return { ...part, time: 1_700_000_000, item_type: 'inline', item_content, signature: await SIGNER.sign(part) };
}

/** What must hold of every answer, whatever was sent. */
function check(fixture: ApiFixture, sent: Json, { status, json }: Answer): void {
  const { code, cause, message_status, error_code, details } = (json ?? {}) as Record<string, unknown>;
  const hash = hashIn(sent);
  expect(status, `${JSON.stringify(sent)?.slice(0, 500)} is answered ${JSON.stringify(json)}`).toBeLessThan(500);
  if (message_status !== undefined) {
    // A forged copy of what is here is refused, and changes nothing of that.
    expect(fixture.ledger.get(String(hash)), String(hash)).toBeDefined();
    if (message_status !== 'rejected') return;
    expect(error_code).toBeTypeOf('number');
    expect((details as { errors: string[] }).errors.join()).toMatch(/^Cannot .+ expected /s);
    return;
  }
  expect(status).toBeGreaterThanOrEqual(400);
  expect(code).toBeTypeOf('string');
  // Which member, and why.
  expect(cause).toMatch(/^Cannot .+(\$|item_content|'message'|the body|message ').*expected /s);
  if (code === 'MESSAGE_MALFORMED') expect(cause).toMatch(/"\$|item_content|content of|the hash|hashes/);
}

function hashIn(sent: Json): unknown {
  return (sent as { message?: { item_hash?: unknown } } | null)?.message?.item_hash;
}

/** Posts them all, some at the same time. */
async function postAll(fixture: ApiFixture, bodies: readonly Json[]): Promise<void> {
  const answers = await Promise.all(
    bodies.map((body) =>
      fixture.call('POST', '/api/v0/messages', {
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }),
    ),
  );
  for (const [index, answer] of answers.entries()) check(fixture, bodies[index] ?? null, answer);
  expect(fixture.failures).toEqual([]);
}

const AT_ONCE = 50;

async function postInTurns(fixture: ApiFixture, bodies: Iterable<Json>): Promise<number> {
  let [sent, turn] = [0, [] as Json[]];
  for (const body of bodies) {
    turn.push(body);
    if (turn.length < AT_ONCE) continue;
    sent += turn.length;
    await postAll(fixture, turn);
    turn = [];
  }
  await postAll(fixture, turn);
  return sent + turn.length;
}

/** Every row says what it is: no half of a message is ever left. */
function expectWholeRows(fixture: ApiFixture): void {
  for (const { message } of fixture.ledger.processedSince(0, { limit: 1_000_000 })) {
    expect(parseEnvelope(message.envelope).item_hash).toBe(message.itemHash);
    expect(verifySignature(message.envelope).ok).toBe(true);
    expect(parseContent(message.type, message.envelope.item_content ?? '').address).toBe(message.content.address);
  }
}

describe('messages', () => {
  test('parser: reads a message or says which member is wrong, whatever comes', () => {
    const any = fc.oneof(
      { weight: 4, arbitrary: mutationsOf(ENVELOPES) },
      { weight: 1, arbitrary: fc.jsonValue() as fc.Arbitrary<Json> },
    );
    const contents = mutationsOf(CONTENTS.map(({ content }) => content));
    fc.assert(
      fc.property(any, contents, fc.constantFrom(...TYPES), (message, content, type) => {
        saysWhy(() => verifySignature(parseEnvelope(message)));
        saysWhy(() => parseContent(type, JSON.stringify(content)));
      }),
      { numRuns: inputs({ usual: 3000, all: 50_000 }) },
    );
  });

  test.each(MESSAGES)('POST: refuses every single change of %s, or takes it whole', async (_name, envelope) => {
    await using fixture = await startApi({ allow: 'any' });
    const changed = [...singleMutations(JSON.parse(JSON.stringify(envelope)))];
    expect(
      await postInTurns(
        fixture,
        [envelope as Json, ...changed].map((message) => ({ message })),
      ),
    ).toBe(changed.length + 1);
    expectWholeRows(fixture);
  });

  test.each(CONTENTS)(
    'POST: refuses every single change of the content of a $type, signed anew, or takes it whole',
    async ({ type, content }) => {
      await using fixture = await startApi({ allow: 'any' });
      const changed = [...singleMutations(content)];
      const bodies: Json[] = [];
      for (const one of changed) bodies.push({ message: await signedOf(type, one) });
      await postInTurns(fixture, bodies);
      expectWholeRows(fixture);
    },
  );

  test('POST: is never at a loss, whatever comes', async () => {
    await using fixture = await startApi({ allow: 'any' });
    const signed = fc.tuple(fc.constantFrom(...TYPES), mutationsOf(CONTENTS.map(({ content }) => content))).map(
      ([type, content]) =>
        () =>
          signedOf(type, content).then((message) => ({ message }) as Json),
    );
    const changed = mutationsOf(ENVELOPES).map((message) => async () => ({ message, sync: false }) as Json);
    const any = (fc.jsonValue() as fc.Arbitrary<Json>).map((value) => async () => value);
    const one = fc.oneof(
      { weight: 2, arbitrary: signed },
      { weight: 4, arbitrary: changed },
      { weight: 1, arbitrary: any },
    );
    const numRuns = inputs({ usual: 40, all: 2000 });
    await fc.assert(
      fc.asyncProperty(fc.array(one, { minLength: AT_ONCE, maxLength: AT_ONCE }), async (makers) => {
        await postAll(fixture, await Promise.all(makers.map((make) => make())));
      }),
      { numRuns },
    );
    expectWholeRows(fixture);
  }, 1_200_000);
});

/** Passes what reads, and what is refused with the place of the fault. */
function saysWhy(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof MessageError)) throw error;
    expect(error.message).toMatch(/^Cannot .+ expected /s);
  }
}
