import { expect, test } from 'vitest';
import { bytesOf, makeAuthor } from '../ledger/testing.ts';
import { startApi } from './testing.ts';

test('metrics: tell in public what the network asks, as JSON and for Prometheus', async () => {
  await using fixture = await startApi();
  const { operator, ledger, call, content } = fixture;
  const { fileHash } = await content.put(bytesOf('file'), { maxBytes: 9 });
  await ledger.accept(await operator.store(fileHash));
  await ledger.accept(await operator.store('a'.repeat(64)));
  const figures = {
    pyaleph_build_info: { version: 'vmlet-1.2.3' },
    pyaleph_status_peers_total: 0,
    pyaleph_status_sync_messages_total: 1,
    pyaleph_status_sync_permanent_files_total: 1,
    pyaleph_status_sync_pending_messages_total: 1,
    pyaleph_status_sync_pending_txs_total: 0,
  };
  expect((await call('GET', '/metrics.json')).json).toEqual(figures);
  const text = await call('GET', '/metrics');
  expect(text.headers['content-type']).toMatch(/^text\/plain/);
  expect(String(text.body)).toContain('\npyaleph_build_info{version="vmlet-1.2.3"} 1\n');
  expect(String(text.body)).toContain('\npyaleph_status_sync_messages_total 1\n');
  expect((await call('GET', '/api/v0/info/public.json')).json).toEqual({ node_multi_addresses: [] });
});

test('programs: names those that messages start, the newest first, with what starts them', async () => {
  await using fixture = await startApi();
  const { operator, ledger, call, content } = fixture;
  const { fileHash } = await content.put(bytesOf('file'), { maxBytes: 9 });
  const store = await operator.store(fileHash);
  const refs = { code: store.item_hash, runtime: store.item_hash };
  const message = [{ sender: operator.signer.address, type: 'POST' }];
  const [plain, first, second] = [
    await operator.program(refs),
    await operator.program(refs, { on: { http: true, message } }),
    await operator.program(refs, { on: { http: true, message: [] } }),
  ];
  for (const one of [store, plain, first, second]) await ledger.accept(one);
  const path = '/api/v0/programs/on/message';
  const told = [
    { item_hash: second.item_hash, content: { on: { message: [] } } },
    { item_hash: first.item_hash, content: { on: { message } } },
  ];
  expect((await call('GET', path)).json).toEqual(told);
  expect((await call('GET', `${path}?sort_order=1`)).json).toEqual(told.toReversed());
  expect(await call('GET', `${path}?sort_order=2`)).toMatchObject({ status: 422 });
});

test('node metrics: tell what the operator posted of a node, in order, and nobody else', async () => {
  await using fixture = await startApi({ allow: 'any' });
  const { operator, ledger, call } = fixture;
  const post = (ccn: unknown, crn: unknown) => ({ type: 'aleph-network-metrics', content: { metrics: { ccn, crn } } });
  const at = 1_700_000_000;
  const one = await operator.sign(
    'POST',
    post(
      [
        { node_id: 'n', measured_at: at + 2, base_latency: 0.5, pending_messages: 3 },
        { node_id: 'n', measured_at: at + 1, base_latency: 'slow' },
        { node_id: 'other', measured_at: at },
        { node_id: 'n', measured_at: 'today' },
        'nothing',
      ],
      [{ node_id: 'c', measured_at: at, full_check_latency: 1.5 }],
    ),
  );
  await ledger.accept(one);
  await ledger.accept(await makeAuthor().sign('POST', post([{ node_id: 'n', measured_at: at + 1 }], [])));
  await ledger.accept(await operator.sign('POST', post({ n: 1 }, 'none')));
  const window = `start_date=${at}&end_date=${at + 9}`;
  const get = async (path: string) => (await call('GET', `/api/v0/${path}`)).json;
  const nulls = [null, null];
  expect(await get(`core/n/metrics?${window}`)).toEqual({
    metrics: {
      item_hash: [one.item_hash, one.item_hash],
      measured_at: [at + 1, at + 2],
      base_latency: [null, 0.5],
      base_latency_ipv4: nulls,
      metrics_latency: nulls,
      aggregate_latency: nulls,
      file_download_latency: nulls,
      pending_messages: [null, 3],
      eth_height_remaining: nulls,
    },
  });
  expect(await get(`core/n/metrics?end_date=${at + 2}&sort=DESC`)).toMatchObject({
    metrics: { measured_at: [at + 2, at + 1] },
  });
  expect(await get(`compute/c/metrics?${window}`)).toMatchObject({ metrics: { full_check_latency: [1.5] } });
  for (const path of ['core/c/metrics', 'core/n/metrics', `compute/c/metrics?start_date=${at + 1}`]) {
    expect(await call('GET', `/api/v0/${path}`)).toMatchObject({ status: 404, json: { code: 'NODE_UNMEASURED' } });
  }
  expect(await call('GET', '/api/v0/core/n/metrics?start_date=x')).toMatchObject({ status: 422 });
});
