import { expect, test } from 'vitest';
import { reachIndexes } from './install-for.ts';

test('install: lets the ports of an index through that are on the host’s loopback, and no other', async () => {
  const settings = { PIP_INDEX_URL: 'http://localhost:3141/root/+simple/', PIP_EXTRA_INDEX_URL: 'https://127.0.0.1/a' };
  expect(await reachIndexes({ ...settings, PIP_RETRIES: '3' })).toEqual({
    variables: {
      PIP_INDEX_URL: 'http://10.0.2.2:3141/root/+simple/',
      PIP_EXTRA_INDEX_URL: 'https://10.0.2.2/a',
      PIP_RETRIES: '3',
      PIP_TRUSTED_HOST: '10.0.2.2:3141',
    },
    egress: { allowed: [], loopbackPorts: [3141, 443] },
  });
});

test('install: lets through the address and the port of an index elsewhere, and leaves its name as it is', async () => {
  const variables = { PIP_INDEX_URL: 'http://10.1.2.3:8080/simple', PIP_FIND_LINKS: '/wheels file:///more' };
  expect(await reachIndexes(variables)).toEqual({
    variables,
    egress: { allowed: [{ address: '10.1.2.3', port: 8080 }], loopbackPorts: [] },
  });
});
