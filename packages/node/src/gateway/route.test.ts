import { describe, expect, test } from 'vitest';
import { programLabel } from '../program-label.ts';
import { type RoutedRequest, route } from './route.ts';

const REF = '0f'.repeat(32);
const HOST = `${programLabel(REF)}.vm.localhost`;
const config = {
  programDomain: 'vm.localhost',
  apiHosts: ['node.example'],
  hasName: (label: string) => label === 'hello',
};
const ask = (host: string | undefined, url = '/', more: Partial<RoutedRequest> = {}) =>
  route({ host, url, secFetchMode: undefined, accept: undefined, ...more }, config);

describe('route, by host', () => {
  test.each([HOST, `${HOST}:8080`, HOST.toUpperCase(), `${HOST}.`, `${HOST}.:80`])(
    'route: finds the program of %s',
    (host) => {
      expect(ask(host, '/a//b%2Fc?d=/vm/e')).toMatchObject({ kind: 'program', ref: REF, path: '/a//b%2Fc?d=/vm/e' });
    },
  );

  test.each(['hello.vm.localhost', 'HELLO.vm.localhost:80', 'hello.vm.localhost.'])(
    'route: finds %s by name',
    (host) => {
      expect(ask(host, '/a')).toMatchObject({ kind: 'program', ref: 'hello', path: '/a' });
    },
  );

  test.each(['localhost', 'LOCALHOST:1', 'localhost.', '127.0.0.1:4', '[::1]', '[::1]:80', '10.1.2.3', 'node.example'])(
    'route: gives %s to the API',
    (host) => {
      expect(ask(host, '/api/v0/messages')).toEqual({ kind: 'api' });
    },
  );

  test.each([
    undefined,
    '',
    'vm.localhost',
    'other.vm.localhost',
    'x.hello.vm.localhost',
    'hello.localhost',
    'evil.example',
    `x.${HOST}`,
    `${HOST}x`,
    `${programLabel(REF).slice(1)}.vm.localhost`,
    `${programLabel(REF).slice(0, -1)}1.vm.localhost`,
    'localhost:x',
    '[::1',
    '[evil]',
    '127.0.0.1.evil.example',
  ])('route: knows no host %j', (host) => {
    expect(ask(host)).toMatchObject({ kind: 'unknown' });
  });

  test('route: knows one spelling of a label only, since its last character has bits to spare', () => {
    const label = programLabel(REF);
    const others = [...'abcdefghijklmnopqrstuvwxyz234567'].filter((last) => last !== label.at(-1));
    const kinds = others.map((last) => ask(`${label.slice(0, -1)}${last}.vm.localhost`));
    expect(kinds.filter((to) => to.kind === 'program' && to.ref === REF)).toEqual([]);
  });
});

describe('route, by path', () => {
  test.each([
    ['/vm/REF', '/'],
    ['/vm/REF/', '/'],
    ['/vm/REF?x=1', '/?x=1'],
    ['/vm/REF/?x=1', '/?x=1'],
    ['/vm/REF//a//', '//a//'],
    ['/vm/REF/%2e%2e/%2F?u=http://a/?b', '/%2e%2e/%2F?u=http://a/?b'],
    ['/vm/REF/../../api/v0', '/../../api/v0'],
  ])('route: cuts %s to %s', (url, path) => {
    expect(ask('localhost', url.replace('REF', REF))).toMatchObject({ kind: 'program', ref: REF, path });
  });

  test.each(['/vm', '/vm/', '/vm//x', '//vm/REF', '/VM/REF', '/x/vm/REF'])('route: leaves %s to the API', (url) => {
    expect(ask('localhost', url.replace('REF', REF))).toEqual({ kind: 'api' });
  });

  test('route: passes a ref of any form on, for the ledger to look up', () => {
    for (const ref of [REF.toUpperCase(), `${REF}0`, `${REF}%2F..`, 'x']) {
      expect(ask('localhost', `/vm/${ref}/`)).toMatchObject({ kind: 'program', ref });
    }
  });

  test('route: redirects what a browser would show, and nothing else', () => {
    const kindOf = (more: Partial<RoutedRequest>) => ask('localhost', `/vm/${REF}/`, more).kind;
    expect(kindOf({ secFetchMode: 'navigate' })).toBe('redirect');
    expect(kindOf({ secFetchMode: 'nested-navigate' })).toBe('redirect');
    expect(kindOf({ accept: 'text/html,*/*' })).toBe('redirect');
    expect(kindOf({ accept: 'text/html,*/*', secFetchMode: 'cors' })).toBe('program');
    expect(kindOf({ accept: '*/*' })).toBe('program');
    expect(ask(HOST, '/', { secFetchMode: 'navigate' }).kind).toBe('program');
  });

  test('route: believes the host in the target before the Host header, as for a proxy', () => {
    expect(ask('localhost', `http://${HOST}/a?b`)).toMatchObject({
      kind: 'program',
      ref: REF,
      host: HOST,
      path: '/a?b',
    });
    expect(ask('localhost', `http://${HOST}?b`)).toMatchObject({ kind: 'program', path: '/?b' });
    expect(ask(HOST, 'http://evil.example/')).toMatchObject({ kind: 'unknown', host: 'evil.example' });
    expect(ask(HOST, 'HTTP://localhost/api')).toEqual({ kind: 'api' });
    expect(ask('localhost', '*').kind).toBe('unknown');
    expect(ask(HOST, '*').kind).toBe('unknown');
  });
});
