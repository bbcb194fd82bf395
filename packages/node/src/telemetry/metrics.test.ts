import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { Metrics } from './metrics.ts';
import { createNodeMetrics, START_BUCKETS } from './node-metrics.ts';

/** Reads the format as its reference implementation does, which refuses what the standard does not allow. */
const READER = `
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
families = text_string_to_metric_families(sys.stdin.read())
print(json.dumps([[f.name, f.type, f.unit, f.documentation, [[s.name, s.labels, s.value] for s in f.samples]] for f in families]))
`;

interface Read {
  [family: string]: { type: string; unit: string; help: string; samples: [string, Record<string, string>, number][] };
}

function read(text: string): Read {
  const { stdout, stderr, status } = spawnSync('/usr/bin/python3', ['-c', READER], { input: text, encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const families = JSON.parse(stdout) as [string, string, string, string, Read[string]['samples']][];
  return Object.fromEntries(families.map(([name, type, unit, help, samples]) => [name, { type, unit, help, samples }]));
}

test('metrics: are OpenMetrics as its reference parser reads it, before anything has happened too', () => {
  const { metrics, starts, startMs, startStepMs, requests, failures } = createNodeMetrics();
  expect(Object.keys(read(metrics.expose()))).toEqual([
    'vmlet_starts',
    'vmlet_start_seconds',
    'vmlet_start_step_seconds',
    'vmlet_requests',
    'vmlet_failures',
    'vmlet_deliveries',
  ]);
  starts.add({ from: 'boot' });
  for (const ms of [3, 5, 70, 99_999]) startMs.observeMs({ from: 'boot' }, ms);
  startStepMs.observeMs({ from: 'boot', step: 'queue' }, 0);
  startStepMs.observeMs({ from: 'boot', step: 'app' }, 12.5);
  requests.add({ status: '2xx' });
  failures.add({ code: 'QUEUE_FULL' }, 2);
  const families = read(metrics.expose());
  expect(families.vmlet_starts).toMatchObject({
    type: 'counter',
    samples: [['vmlet_starts_total', { from: 'boot' }, 1]],
  });
  expect(families.vmlet_failures?.samples).toEqual([['vmlet_failures_total', { code: 'QUEUE_FULL' }, 2]]);
  expect(families.vmlet_start_step_seconds?.samples).toContainEqual([
    'vmlet_start_step_seconds_sum',
    { from: 'boot', step: 'app' },
    0.0125,
  ]);
});

test('metrics: count durations in the bucket of their bound and all above it, in seconds', () => {
  const { metrics, startMs } = createNodeMetrics();
  for (const ms of [3, 5, 70, 99_999]) startMs.observeMs({ from: 'spare' }, ms);
  const { vmlet_start_seconds: family } = read(metrics.expose());
  expect(family).toMatchObject({ type: 'histogram', unit: 'seconds' });
  const buckets = family?.samples.filter(([name]) => name.endsWith('_bucket')) ?? [];
  expect(buckets).toHaveLength(START_BUCKETS.length + 1);
  const upTo = Object.fromEntries(buckets.map(([, { le = '' }, count]) => [le, count]));
  expect(upTo).toMatchObject({ '0.005': 2, '0.05': 2, '0.1': 3, '1.0': 3, '30.0': 3, '+Inf': 4 });
  expect(family?.samples).toContainEqual(['vmlet_start_seconds_count', { from: 'spare' }, 4]);
  expect(family?.samples.find(([name]) => name.endsWith('_sum'))?.[2]).toBeCloseTo(100.077, 6);
});

test('metrics: look gauges up when they are asked for, and escape what labels and help have in them', () => {
  const metrics = new Metrics();
  let value = 1;
  const odd = 'a "b" \\ c\nd';
  metrics.gauge('up', { help: odd, read: () => [{ labels: { kind: odd }, value }, { value: 7 }] });
  metrics.info('build', { help: 'x', labels: { version: odd } });
  value = 3;
  const { up, build } = read(metrics.expose());
  expect(up).toEqual({
    ...{ type: 'gauge', unit: '', help: odd },
    samples: [
      ['up', { kind: odd }, 3],
      ['up', {}, 7],
    ],
  });
  expect(build?.samples).toEqual([['build_info', { version: odd }, 1]]);
});
