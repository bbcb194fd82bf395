import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FileHash, ItemHash } from '@vmlet/messages';
import { expect, test } from 'vitest';
import { VmletError } from '../errors.ts';
import { backend } from '../machines/testing.ts';
import type { RunnableProgram } from '../runtimes/index.ts';
import { Snapshots } from '../snapshots/index.ts';
import { createLogger } from '../telemetry/index.ts';
import { SnapshotMaker, type Turn } from './maker.ts';

const [A, B] = ['a'.repeat(64), 'b'.repeat(64)] as [ItemHash, ItemHash];

/** A maker that makes nothing, for no machine can be saved without a cage. */
async function startMaker() {
  await using stack = new AsyncDisposableStack();
  const dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  stack.defer(() => dir.remove());
  const snapshots = await Snapshots.open({ dir: dir.path, budgetBytes: 1, onDamaged: () => {} });
  const turns: { itemHash: ItemHash; back: AbortController; over: boolean }[] = [];
  const said: string[] = [];
  const maker = stack.use(
    new SnapshotMaker({
      backend,
      saved: { snapshots, host: { qemu: A, host: A } },
      bootDeadlineMs: 1000,
      loadDeadlineMs: 1000,
      turn: async ({ itemHash }): Promise<Turn> => {
        const turn = { itemHash, back: new AbortController(), over: false };
        turns.push(turn);
        const over = () => {
          turn.over = true;
        };
        return { signal: turn.back.signal, [Symbol.dispose]: over };
      },
      say: (_itemHash, text) => said.push(text),
      log: createLogger('silent'),
    }),
  );
  const owned = stack.move();
  return { maker, turns, said, dir: dir.path, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function runnable(itemHash: ItemHash, snapshot = true): RunnableProgram {
  return {
    ...{ itemHash, runtimeHash: A as string as FileHash, codeHash: A as string as FileHash, codeForm: 'zip.v2' },
    launch: { kind: 'python', init: 'kit', argv: ['python3'], entrypoint: 'main:app', interface: 'asgi', args: [] },
    ...{
      variables: {},
      vcpus: 1,
      memoryMiB: 1,
      seconds: 1,
      snapshot,
      internet: false,
      guestApi: false,
      runtimeImage: '/r',
      codeImage: import.meta.filename,
    },
  };
}

/** Waits until the signal aborts, and fails with its reason. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
}

test('maker: tries again, behind the others, when its turn is taken back', async () => {
  await using it = await startMaker();
  const begun = Promise.withResolvers<void>();
  let times = 0;
  it.maker.want({
    ...{ itemHash: A, memoryMiB: 1 },
    prepare: (signal) => {
      times++;
      begun.resolve();
      return times === 1 ? aborted(signal) : Promise.reject(new VmletError('NODE_STOPPING'));
    },
  });
  it.maker.want({ itemHash: B, memoryMiB: 1, prepare: () => Promise.reject(new VmletError('NODE_STOPPING')) });
  await begun.promise;
  it.turns[0]!.back.abort(new Error('a request wants its memory'));
  await it.maker.settled();
  expect(it.turns.map(({ itemHash }) => itemHash)).toEqual([A, B, A]);
  expect(it.turns.every(({ over }) => over)).toBe(true);
  expect(it.said).toEqual([]);
});

test('maker: saves nothing of a program that does not want it, and asks for it once while it waits', async () => {
  await using it = await startMaker();
  const prepare = async () => runnable(A, false);
  for (let i = 0; i < 3; i++) it.maker.want({ itemHash: A, memoryMiB: 1, prepare });
  await it.maker.settled();
  expect(it.turns).toHaveLength(1);
  expect(it.said).toEqual([]);
});

test('maker: tells a program why it is not saved, once, and does not try again', async () => {
  await using it = await startMaker();
  const prepare = async () => runnable(A);
  for (let i = 0; i < 3; i++) {
    it.maker.want({ itemHash: A, memoryMiB: 1, prepare });
    await it.maker.settled();
  }
  expect(it.said).toEqual([expect.stringMatching(/^Not saved for quick starts: /)]);
  expect(it.maker.lastFailure).toMatch(/./);
});

test('maker: gives a snapshot up that is not restored twice', async () => {
  await using it = await startMaker();
  const key = 'c'.repeat(64);
  it.maker.refused(key);
  expect(it.maker.isGivenUp(key)).toBe(false);
  it.maker.refused(key);
  expect(it.maker.isGivenUp(key)).toBe(true);
});

test('maker: ends what it makes when the node stops, and begins nothing after', async () => {
  const it = await startMaker();
  const begun = Promise.withResolvers<void>();
  const prepare = (signal: AbortSignal) => {
    begun.resolve();
    return aborted(signal);
  };
  it.maker.want({ itemHash: A, memoryMiB: 1, prepare });
  it.maker.want({ itemHash: B, memoryMiB: 1, prepare });
  await begun.promise;
  await it[Symbol.asyncDispose]();
  it.maker.want({ itemHash: B, memoryMiB: 1, prepare });
  expect(it.turns).toHaveLength(1);
  expect(it.said).toEqual([]);
});
