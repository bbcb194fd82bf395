import type { ItemHash } from '@vmlet/messages';
import { expect, test } from 'vitest';
import { VmletError } from '../errors.ts';
import { createLogger, createNodeMetrics } from '../telemetry/index.ts';
import type { WakePhases } from './phases.ts';
import { Timelines } from './timelines.ts';

const hash = (n: number) => String(n).padStart(64, '0') as ItemHash;
const ONE = hash(1);
const STEPS = [
  { name: 'prepare', ms: 1 },
  { name: 'boot', ms: 2 },
  { name: 'load', ms: 3 },
];
const phases = (): WakePhases => ({ from: 'boot', steps: STEPS });

function openTimelines() {
  const metrics = createNodeMetrics();
  const lines: string[] = [];
  const log = createLogger('debug', { write: (line) => void lines.push(line) });
  return { timelines: new Timelines({ metrics, log }), metrics, lines };
}

test('timelines: remember what a start was made from and its steps, with the queue first and the answer last', async () => {
  const { timelines, lines } = openTimelines();
  const given = phases();
  const { got, waitedMs } = await timelines.watch(ONE, async () => ({ phases: given, mine: 1 }));
  expect(got.mine).toBe(1);
  timelines.answered(ONE, given, { appMs: 7 });
  const [start] = timelines.of(ONE).starts;
  const queueMs = Math.max(0, waitedMs - 6);
  expect(start).toMatchObject({
    from: 'boot',
    steps: [{ name: 'queue', ms: queueMs }, ...STEPS, { name: 'app', ms: 7 }],
    totalMs: queueMs + 13,
  });
  expect(Math.abs(Date.now() - (start?.askedMs ?? 0))).toBeLessThan(60_000);
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ itemHash: ONE, from: 'boot', steps: { boot: 2 } });
});

test('timelines: tell of one start once, however many waited for it, and of its first answer', async () => {
  const { timelines, metrics } = openTimelines();
  const given = phases();
  for (let waiting = 0; waiting < 3; waiting++) await timelines.watch(ONE, async () => ({ phases: given }));
  for (const appMs of [5, 9]) timelines.answered(ONE, given, { appMs });
  expect(timelines.of(ONE).starts).toHaveLength(1);
  expect(timelines.of(ONE).starts[0]?.steps.at(-1)).toEqual({ name: 'app', ms: 5 });
  expect(metrics.metrics.expose()).toContain('vmlet_starts_total{from="boot"} 1\n');
  expect(metrics.metrics.expose()).toContain('vmlet_start_seconds_count{from="boot"} 1\n');
});

test('timelines: leave a queue as it is that was measured already', async () => {
  const { timelines } = openTimelines();
  const steps = [
    { name: 'queue', ms: 40 },
    { name: 'resume', ms: 2 },
  ];
  await timelines.watch(ONE, async () => ({ phases: { from: 'paused' as const, steps } }));
  expect(timelines.of(ONE).starts[0]).toMatchObject({ steps, totalMs: 42 });
});

test('timelines: say nothing of a request that found a machine', async () => {
  const { timelines } = openTimelines();
  await timelines.watch(ONE, async () => ({ phases: undefined }));
  expect(timelines.of(ONE)).toEqual({ starts: [], failed: undefined });
});

test('timelines: remember why the last one failed, until one does not', async () => {
  const { timelines } = openTimelines();
  const failing = async () => {
    throw new VmletError('PROGRAM_LOAD_FAILED', { operands: { code: 'IMPORT_FAILED' } });
  };
  await expect(timelines.watch(ONE, failing)).rejects.toMatchObject({ code: 'PROGRAM_LOAD_FAILED' });
  expect(timelines.of(ONE).failed).toMatchObject({ code: 'PROGRAM_LOAD_FAILED' });
  const full = async () => {
    throw new VmletError('QUEUE_FULL', { operands: { waiting: 1 } });
  };
  await expect(timelines.watch(hash(2), full)).rejects.toMatchObject({ code: 'QUEUE_FULL' });
  expect(timelines.of(hash(2)).failed).toBeUndefined();
  await timelines.watch(ONE, async () => ({ phases: phases() }));
  expect(timelines.of(ONE).failed).toBeUndefined();
});

test('timelines: keep eight of a program, of those programs that started last', async () => {
  const { timelines } = openTimelines();
  for (let n = 0; n < 1030; n++) await timelines.watch(hash(n), async () => ({ phases: phases() }));
  expect(timelines.of(hash(5)).starts).toHaveLength(0);
  expect(timelines.of(hash(6)).starts).toHaveLength(1);
  for (let n = 0; n < 10; n++) await timelines.watch(ONE, async () => ({ phases: phases() }));
  expect(timelines.of(ONE).starts).toHaveLength(8);
  timelines.forget(ONE);
  expect(timelines.of(ONE).starts).toHaveLength(0);
});
