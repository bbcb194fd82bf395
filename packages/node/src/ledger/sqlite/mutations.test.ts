import { mkdtempDisposable, readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Envelope, itemHashOf, readApiMessage } from '@vmlet/messages';
import { expect, test } from 'vitest';
import { openFileStore } from '../../content/index.ts';
import { VmletError } from '../../errors.ts';
import { openDatabase } from '../../store/index.ts';
import { openLedger } from './ledger.ts';

const VECTORS = join(import.meta.dirname, '../../../../messages/vectors/reference');
/** Members of a message that nobody signs. */
const UNSIGNED = ['time', 'channel', 'item_type'];
const VALUES = [null, 0, -1, 1e300, '', 'x', 'a'.repeat(64), true, [], {}, ['x'], { x: 1 }];

async function realMessages(): Promise<[string, Envelope][]> {
  const names = (await readdir(VECTORS)).filter((one) => one.endsWith('.json'));
  return await Promise.all(
    names.map(async (name): Promise<[string, Envelope]> => {
      const { envelope } = readApiMessage(JSON.parse(await readFile(join(VECTORS, name), 'utf8')));
      return [name, envelope];
    }),
  );
}

/** Every value with one member, at any depth, changed to something else, or gone. */
function* mutationsOf(value: unknown, path = '$'): Generator<{ path: string; mutated: unknown }> {
  if (typeof value !== 'object' || value === null) return;
  for (const [name, member] of Object.entries(value)) {
    const at = `${path}.${name}`;
    const { [name]: _gone, ...rest } = value as Record<string, unknown>;
    // Null and undefined say the same as no member.
    if (member !== undefined && member !== null) yield { path: at, mutated: rest };
    for (const other of [...VALUES, flipped(member)]) {
      if (JSON.stringify(other ?? null) !== JSON.stringify(member ?? null))
        yield { path: at, mutated: { ...value, [name]: other } };
    }
    if (Array.isArray(value)) continue;
    for (const inner of mutationsOf(member, at))
      yield { path: inner.path, mutated: { ...value, [name]: inner.mutated } };
  }
}

function flipped(member: unknown): unknown {
  if (typeof member === 'number') return member + 1;
  if (typeof member !== 'string') return undefined;
  const last = member.at(-1) === '0' ? '1' : '0';
  return `${member.slice(0, -1)}${last}`;
}

async function setUp() {
  const stack = new AsyncDisposableStack();
  const dir = stack.adopt(await mkdtempDisposable(join(tmpdir(), 'vmlet-test-')), (one) => one.remove());
  const content = await openFileStore(join(dir.path, 'content'));
  const database = stack.adopt(openDatabase(join(dir.path, 'node.db')), (one) => void one.close());
  const bounds = { rejected: 1_000_000 };
  const ledger = stack.use(await openLedger({ database, content, bounds, onListenerError: () => {} }));
  return { ledger, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** What came of a message: the fault by which it was refused, or undefined. */
async function faultOf(ledger: Awaited<ReturnType<typeof setUp>>['ledger'], message: unknown) {
  try {
    const { status, reason } = await ledger.accept(message);
    return status === 'rejected' ? { code: reason?.code, text: reason?.errors.join('; ') ?? '' } : undefined;
  } catch (error) {
    if (!(error instanceof VmletError) || error.entry.status >= 500) throw error;
    return { code: error.code, text: error.message };
  }
}

test('accept: refuses every change of one member of a real message with its place and why, or keeps what was signed', async () => {
  await using it = await setUp();
  let count = 0;
  for (const [name, envelope] of await realMessages()) {
    await it.ledger.accept(envelope);
    const signed = signedPart(it.ledger.get(envelope.item_hash));
    for (const { path, mutated } of mutationsOf(envelope)) {
      const fault = await faultOf(it.ledger, mutated);
      count += 1;
      const member = path.slice(2);
      if (fault === undefined) expect([...UNSIGNED, 'signature'], `${name} ${path}`).toContain(member);
      else expect(fault.text, `${name} ${path}`).toMatch(/\$|'[^']+'|hash|sign|item_content/);
      expect(signedPart(it.ledger.get(envelope.item_hash)), `${name} ${path}`).toEqual(signed);
    }
  }
  expect(count).toBeGreaterThan(500);
});

test('accept: takes no changed content of a real message, whether its hash is changed along or not', async () => {
  await using it = await setUp();
  let count = 0;
  for (const [name, envelope] of await realMessages()) {
    if (envelope.item_content === undefined) continue;
    for (const { path, mutated } of mutationsOf(JSON.parse(envelope.item_content))) {
      const item_content = JSON.stringify(mutated);
      // The hash of the content is signed: with the old one the text does not fit, with a new one the signature does not.
      for (const item_hash of [envelope.item_hash, itemHashOf(item_content)]) {
        const fault = await faultOf(it.ledger, { ...envelope, item_content, item_hash });
        count += 1;
        expect(fault, `${name} ${path}`).toBeDefined();
        expect(fault?.text, `${name} ${path}`).toMatch(/\$|'[^']+'|hash|sign|item_content/);
      }
    }
  }
  expect(count).toBeGreaterThan(2000);
  expect(it.ledger.processedSince(0, { limit: 1 })).toEqual([]);
});

/** What the sender signed, as the ledger tells it. */
function signedPart(state: object | undefined): object {
  const { message, messages } = (state ?? {}) as { message?: Envelope; messages?: Envelope[] };
  const { sender, chain, type, item_hash, item_content } = message ?? messages?.[0] ?? ({} as Partial<Envelope>);
  return { sender, chain, type, item_hash, item_content };
}
