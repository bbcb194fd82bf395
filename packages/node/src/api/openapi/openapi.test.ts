import { expect, test } from 'vitest';
import { startApi } from '../testing.ts';
import type { OpenApiDocument } from './document.ts';

/** Of the network's contract, what every node serves; a part that is missing here is missing in the document. */
const CONTRACT = [
  'GET /',
  'GET /api/docs',
  'GET /metrics',
  'GET /metrics.json',
  'GET /version',
  'GET /api/v0/version',
  'GET /api/ws0/messages',
  'GET /api/ws0/status',
  'GET /api/v0/core/{node_id}/metrics',
  'GET /api/v0/compute/{node_id}/metrics',
  'GET /api/v0/aggregates/{address}.json',
  'GET /api/v0/aggregates',
  'GET /api/v0/aggregates.json',
  'GET /api/v0/authorizations/granted/{address}.json',
  'GET /api/v0/authorizations/received/{address}.json',
  'GET /api/v0/channels/list.json',
  'GET /api/v0/info/public.json',
  'POST /api/v0/messages',
  'GET /api/v0/messages/{hash}',
  'GET /api/v0/messages/{hash}/content',
  'GET /api/v0/messages/{hash}/status',
  'POST /api/v0/ipfs/pubsub/pub',
  'POST /api/v0/p2p/pubsub/pub',
  'GET /api/v0/addresses/stats.json',
  'GET /api/v1/addresses/stats.json',
  'GET /api/v0/addresses/{address}/post_types',
  'GET /api/v0/addresses/{address}/channels',
  'GET /api/v0/programs/on/message',
];

test('openapi: describes every route that is served', async () => {
  await using fixture = await startApi();
  const undocumented = fixture.routes.filter(({ doc }) => doc === undefined);
  expect(undocumented.map(({ method, path }) => `${method} ${path}`)).toEqual([]);
  const document = (await fixture.call('GET', '/api/openapi.json')).json as OpenApiDocument;
  const told = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(told).toEqual(expect.arrayContaining(CONTRACT));
  expect(new Set(told).size).toBe(told.length);
});

test('openapi: is a document of OpenAPI 3.1 whose every part leads somewhere', async () => {
  await using fixture = await startApi();
  const { headers, json } = await fixture.call('GET', '/api/openapi.json');
  expect(headers).toMatchObject({ 'content-type': expect.stringMatching(/^application\/json/) });
  const document = json as OpenApiDocument;
  expect(document).toMatchObject({
    openapi: '3.1.0',
    info: { title: 'vmlet', version: '1.2.3' },
    components: { schemas: { Problem: { type: 'object' } } },
  });
  for (const [path, methods] of Object.entries(document.paths)) {
    const places = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    for (const [method, { parameters, responses, summary, tags }] of Object.entries(methods)) {
      const inPath = parameters.filter((one) => one.in === 'path');
      expect([path, method, inPath.map(({ name }) => name)]).toEqual([path, method, places]);
      expect(inPath.every(({ required }) => required)).toBe(true);
      expect(new Set(parameters.map((one) => `${one.in} ${one.name}`)).size).toBe(parameters.length);
      expect(responses).toMatchObject({ default: { content: { 'application/problem+json': expect.anything() } } });
      expect([summary, tags]).toEqual([expect.stringMatching(/^[A-Z/]/), [expect.any(String)]]);
    }
  }
  const refs = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]*)"/g)].map(([, ref]) => ref);
  expect(new Set(refs)).toEqual(new Set(['#/components/schemas/Problem']));
});

test('docs: are a page that shows each route, runs nothing and loads nothing', async () => {
  await using fixture = await startApi();
  const document = (await fixture.call('GET', '/api/openapi.json')).json as OpenApiDocument;
  const { status, headers, body } = await fixture.call('GET', '/api/docs');
  const page = String(body);
  expect([status, headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
  const policy = String(headers['content-security-policy']);
  expect(policy).toMatch(/^default-src 'none'; style-src 'sha256-[\w+/=]+'; /);
  for (const path of Object.keys(document.paths)) expect(page).toContain(`<code>${path}</code>`);
  expect(page).not.toMatch(/<script|<link|<img|javascript:|\son\w+=|(?:src|href)="(?:https?:)?\/\//i);
  const start = await fixture.call('GET', '/');
  expect(start).toMatchObject({ status: 200, headers: { 'content-security-policy': policy } });
  const links = [...`${page}${start.body}`.matchAll(/href="(\/[^"]*)"/g)].map(([, link = '']) => link);
  for (const link of new Set(links)) expect([link, (await fixture.call('GET', link)).status]).toEqual([link, 200]);
});

test('docs: show text as text, whatever is in it', async () => {
  const { html } = await import('./html.ts');
  const list = [html`<i>${'<b>'}</i>`, '&"\''];
  expect(String(html`<p title="${'"x"'}">${list}${undefined}${false}${0}</p>`)).toBe(
    '<p title="&#34;x&#34;"><i>&#60;b&#62;</i>&#38;&#34;&#39;0</p>',
  );
});
