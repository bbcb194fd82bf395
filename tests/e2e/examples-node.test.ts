import { afterAll, beforeAll, expect, test } from 'vitest';
import { copyExamples, type Examples, json } from '../framework/examples.ts';
import { startTestNode, type TestNode } from '../framework/node.ts';

let node: TestNode;
let examples: Examples;
beforeAll(async () => {
  node = await startTestNode();
  examples = await copyExamples(node);
});
afterAll(async () => {
  await examples[Symbol.asyncDispose]();
  await node[Symbol.asyncDispose]();
});

/** Reads a body part by part. */
function partsOf(answer: Response): () => Promise<string> {
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  return async () => (await reader.read()).value ?? '';
}

test('examples: node-hello does what its README says', async () => {
  const { url } = await examples.follow('node-hello');
  expect(await (await fetch(`${url}/you`)).text()).toContain('Hello, you!');
});

test('examples: node-fetch routes, reads JSON, and streams bodies both ways at once', async () => {
  const { url } = await examples.follow('node-fetch');
  expect((await fetch(`${url}/time/No/Where`)).status).toBe(404);
  const wrong = await fetch(`${url}/words`);
  expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'POST']);
  expect((await fetch(`${url}/words`, { method: 'POST', body: '{' })).status).toBe(400);

  // The second part of the request is made when the answer to the first is here.
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const send = (words: string) => writer.write(new TextEncoder().encode(words));
  const sent = send('first, ');
  const next = partsOf(await fetch(`${url}/upper`, { method: 'POST', body: readable, duplex: 'half' }));
  await sent;
  expect(await next()).toBe('FIRST, ');
  await send('sécond');
  await writer.close();
  expect(await next()).toBe('SÉCOND');
});

test('examples: hono shortens links, redirects, and tells each visit as it happens', async () => {
  const { url } = await examples.follow('hono');
  const refused = await fetch(`${url}/links`, json({ url: 'javascript:alert(1)' }));
  expect(refused.status).toBe(400);
  const made = await fetch(`${url}/links`, json({ url: 'https://example.org/?a=1' }));
  expect(made.status).toBe(201);
  expect(made.headers.get('x-content-type-options')).toBe('nosniff');
  const { code } = (await made.json()) as { code: string };

  const gone = new AbortController();
  const next = partsOf(await fetch(`${url}/links/${code}/visits`, { signal: gone.signal }));
  expect(await next()).toMatch(/^event: visit\ndata: {"visits":0,/m);
  const visit = await fetch(`${url}/${code}`, { redirect: 'manual' });
  expect([visit.status, visit.headers.get('location')]).toEqual([302, 'https://example.org/?a=1']);
  expect(await next()).toMatch(/^event: visit\ndata: {"visits":1,/m);
  gone.abort();
  expect((await fetch(`${url}/links/none`)).status).toBe(404);
});

test('examples: express listens by itself, keeps tasks, and serves its page', async () => {
  const { url, program } = await examples.follow('express');
  expect(await (await fetch(`${url}/`)).text()).toContain('<h1>Tasks</h1>');
  expect((await fetch(`${url}/tasks.js`)).headers.get('content-type')).toContain('javascript');
  expect((await fetch(`${url}/tasks`, json({}))).status).toBe(400);
  expect((await fetch(`${url}/tasks/7`)).status).toBe(404);
  expect((await fetch(`${url}/tasks/1`, { method: 'DELETE' })).status).toBe(204);
  expect(await (await fetch(`${url}/tasks`)).json()).toEqual({ tasks: [] });
  expect(await node.logOf(program)).toContain('stdout: DELETE /tasks/1 204');
});
