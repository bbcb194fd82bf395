import { expect, test } from 'vitest';
import { makeAuthor } from '../ledger/testing.ts';
import { startApi } from './testing.ts';

const GRANTED = '/api/v0/authorizations/granted';
const RECEIVED = '/api/v0/authorizations/received';

test('authorizations: tells whom an address permits what, and who permits it', async () => {
  await using fixture = await startApi();
  const { operator, ledger, call } = fixture;
  const [owner, friend, stranger] = [operator.signer.address, makeAuthor().signer.address, makeAuthor().signer.address];
  const authorizations = [
    { address: friend, types: ['POST'], channels: ['A'] },
    { address: friend, types: ['STORE'] },
    { address: stranger.toLowerCase(), chain: 'ETH' },
    'not an entry',
    { types: ['POST'] },
    null,
  ];
  await ledger.accept(await operator.sign('AGGREGATE', { key: 'security', content: { authorizations } }));
  const granted = async (query: string) => (await call('GET', `${GRANTED}/${owner}.json?${query}`)).json;
  const all = {
    [friend]: [{ types: ['POST'], channels: ['A'] }, { types: ['STORE'] }],
    [stranger.toLowerCase()]: [{ chain: 'ETH' }],
  };
  expect(await granted('')).toEqual({
    authorizations: all,
    address: owner,
    pagination_per_page: 20,
    pagination_page: 1,
    pagination_total: 2,
    pagination_item: 'authorizations',
  });
  expect(await granted(`grantee=${friend.toLowerCase()}`)).toMatchObject({ pagination_total: 1 });
  expect(await granted('types=STORE')).toMatchObject({
    authorizations: { [friend]: [{ types: ['STORE'] }], [stranger.toLowerCase()]: [{ chain: 'ETH' }] },
  });
  expect(await granted('chains=SOL&types=POST')).toMatchObject({ pagination_total: 1 });
  expect(await granted('pagination=1&page=2')).toMatchObject({
    authorizations: { [stranger.toLowerCase()]: [{ chain: 'ETH' }] },
    pagination_total: 2,
  });
  const received = async (address: string, query = '') =>
    (await call('GET', `${RECEIVED}/${address}.json?${query}`)).json;
  expect(await received(stranger)).toMatchObject({
    authorizations: { [owner]: [{ chain: 'ETH' }] },
    address: stranger,
  });
  expect(await received(friend, `granter=${owner}&channels=B`)).toMatchObject({
    authorizations: { [owner]: [{ types: ['STORE'] }] },
  });
  expect(await received(friend, `granter=${stranger}`)).toMatchObject({ authorizations: {}, pagination_total: 0 });
});

test('authorizations: are none where no aggregate gives any, whatever that says', async () => {
  await using fixture = await startApi();
  const { operator, ledger, call } = fixture;
  const { address } = operator.signer;
  const none = { authorizations: {}, pagination_total: 0, address };
  expect((await call('GET', `${GRANTED}/${address}.json`)).json).toMatchObject(none);
  for (const authorizations of [null, 'all', { address }, [[address]], 7]) {
    await ledger.accept(await operator.sign('AGGREGATE', { key: 'security', content: { authorizations } }));
    for (const path of [GRANTED, RECEIVED]) {
      expect((await call('GET', `${path}/${address}.json`)).json).toMatchObject(none);
    }
  }
  expect(await call('GET', `${GRANTED}/${address}.json?pagination=501`)).toMatchObject({ status: 422 });
  expect(await call('GET', `${RECEIVED}/a%20b.json`)).toMatchObject({ status: 422 });
});
