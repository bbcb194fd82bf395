import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { capsFor, type OwnerCaps } from './caps.ts';
import { OwnerUsage } from './usage.ts';

const OWNER = '0xa1b3bb7d2332383d96b7796b908fb7f7f3c2be10';
const MINUTE_MS = 60_000;

async function setUp(caps: Partial<OwnerCaps> = {}) {
  const dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  const clock = { nowMs: 1_700_000_100_000 };
  const errors: unknown[] = [];
  const path = join(dir.path, 'usage.json');
  const opened = new AsyncDisposableStack();
  // Last, for what is still being saved would make the folder again.
  opened.defer(() => dir.remove());
  const open = async () =>
    opened.use(
      await OwnerUsage.open({
        path,
        capsOf: capsFor('the operator', caps),
        onError: (error) => errors.push(error),
        now: () => clock.nowMs,
      }),
    );
  return { path, clock, errors, open, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

test('usage: counts machines and memory at once, and frees them', async () => {
  await using it = await setUp({ machines: 2, memoryMiB: 100 });
  const usage = await it.open();
  using stack = new DisposableStack();
  const first = usage.reserve(OWNER, 60);
  expect(() => usage.reserve(OWNER, 50)).toThrow(expect.objectContaining({ code: 'OWNER_MEMORY_EXCEEDED' }));
  stack.use(usage.reserve(OWNER, 40));
  expect(() => usage.reserve(OWNER, 0)).toThrow(expect.objectContaining({ code: 'OWNER_MACHINES_EXCEEDED' }));
  for (let times = 0; times < 20; times++) stack.use(usage.reserve('the operator', 10_000));
  first[Symbol.dispose]();
  stack.use(usage.reserve(OWNER, 60));
});

test('usage: refuses processor time beyond an hour’s, and says when there is some again', async () => {
  await using it = await setUp({ cpuSeconds: 100 });
  const usage = await it.open();
  usage.charge(OWNER, 60);
  it.clock.nowMs += 10 * MINUTE_MS;
  usage.mayUseCpu(OWNER);
  usage.charge(OWNER, 60);
  const refusal = () => usage.mayUseCpu(OWNER);
  expect(refusal).toThrow(expect.objectContaining({ code: 'OWNER_CPU_EXCEEDED', entry: expect.any(Object) }));
  let seconds = 0;
  try {
    refusal();
  } catch (error) {
    seconds = Number((error as { retryAfterSeconds?: number }).retryAfterSeconds);
  }
  expect(seconds).toBeGreaterThan(45 * 60);
  expect(seconds).toBeLessThanOrEqual(60 * 60);
  it.clock.nowMs += seconds * 1000;
  usage.mayUseCpu(OWNER);
  usage.charge('the operator', 1e9);
  usage.mayUseCpu('the operator');
});

test('usage: remembers processor time over a restart, and forgets what is over an hour old', async () => {
  await using it = await setUp({ cpuSeconds: 100 });
  const before = await it.open();
  before.charge(OWNER, 150);
  await before[Symbol.asyncDispose]();
  const after = await it.open();
  expect(() => after.mayUseCpu(OWNER)).toThrow(expect.objectContaining({ code: 'OWNER_CPU_EXCEEDED' }));
  it.clock.nowMs += 70 * MINUTE_MS;
  after.mayUseCpu(OWNER);
  await after[Symbol.asyncDispose]();
  expect(JSON.parse(await readFile(it.path, 'utf8'))).toEqual({ format: 1, cpu: {} });
  expect(it.errors).toEqual([]);
});

test('usage: begins anew and says so, when its file is damaged', async () => {
  await using it = await setUp({ cpuSeconds: 100 });
  for (const text of ['', '{', '{"format":2,"cpu":{}}', '{"format":1,"cpu":{"a":{"b":-1}}}']) {
    await writeFile(it.path, text);
    const usage = await it.open();
    usage.mayUseCpu(OWNER);
  }
  expect(it.errors).toHaveLength(4);
});
