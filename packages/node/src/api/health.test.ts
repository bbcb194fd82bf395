import { describe, expect, test } from 'vitest';
import { startApi } from './testing.ts';

describe('health', () => {
  test('health: a node lives and is ready, until it is told to stop', async () => {
    let isDraining = false;
    await using api = await startApi({ isDraining: () => isDraining });
    expect(await api.call('GET', '/healthz')).toMatchObject({ status: 200, json: { status: 'ok' } });
    const ready = await api.call('GET', '/readyz');
    expect(ready).toMatchObject({ status: 200, json: { status: 'ready' }, headers: { 'cache-control': 'no-store' } });

    isDraining = true;
    const draining = await api.call('GET', '/readyz');
    expect(draining).toMatchObject({ status: 503, json: { code: 'NODE_DRAINING', retryable: true } });
    expect(draining.headers['cache-control']).toBe('no-store');
    expect((await api.call('GET', '/healthz')).status).toBe(200);
    expect(api.failures).toEqual([]);
  });

  test('health: a node whose database cannot be read does not live', async () => {
    await using api = await startApi();
    api.database.close();
    expect((await api.call('GET', '/healthz')).status).toBe(500);
  });
});
