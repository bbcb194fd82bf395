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

test('examples: python-hello and fastapi-hello do what their READMEs say', async () => {
  await examples.follow('python-hello');
  const { url } = await examples.follow('fastapi-hello');
  expect(await (await fetch(`${url}/hello/you?language=de`)).json()).toMatchObject({ message: 'Hallo, you!' });
});

test('examples: fastapi-streaming sends words as they are made, and ends when its client goes', async () => {
  const { url, program } = await examples.follow('fastapi-streaming');
  const generate = (body: object) => fetch(`${url}/generate`, json(body));
  // A pause of a second: the first event is here long before the last could be made within the request's time.
  const gone = new AbortController();
  const slow = await fetch(`${url}/generate`, {
    ...json({ max_words: 500, pause_seconds: 1 }),
    signal: gone.signal,
  });
  expect(slow.headers.get('content-type')).toMatch(/^text\/event-stream/);
  const first = await slow.body!.getReader().read();
  expect(new TextDecoder().decode(first.value)).toMatch(/^event: word\ndata: {"index": 1, "text": "[a-z']+"}\n\n$/);
  gone.abort();
  await node.logSays(program, 'client gone after ');

  const words = async () => await (await generate({ max_words: 5, seed: 3, pause_seconds: 0 })).text();
  expect(await words()).toBe(await words());
  const refused = await generate({ max_words: 0 });
  expect(refused.status).toBe(422);
  expect(await refused.json()).toMatchObject({ detail: [{ loc: ['body', 'max_words'] }] });
  expect(await node.logOf(program)).toContain('stdout: model ready: ');
});

test('examples: flask takes a form’s file, streams lines, and refuses in JSON', async () => {
  const { url } = await examples.follow('flask');
  expect(await (await fetch(`${url}/`)).text()).toContain('at most 8 MiB');
  const form = new FormData();
  form.set('file', new Blob(['\uFEFFname,size\na,1\nb,2.5\n']), 'table.csv');
  const summary = await fetch(`${url}/summary`, { method: 'POST', body: form });
  expect(await summary.json()).toMatchObject({
    rows: 2,
    columns: { name: { kind: 'text', different: 2 }, size: { kind: 'number', mean: 1.75 } },
  });
  const post = (path: string, body: string | Uint8Array) => fetch(url + path, { method: 'POST', body });
  const lines = await (await post('/json-lines', `n\n${'1\n'.repeat(5000)}`)).text();
  expect(lines).toBe('{"n": "1"}\n'.repeat(5000));
  const binary = await post('/summary', new Uint8Array([0x61, 0xff]));
  expect(binary.status).toBe(400);
  expect(await binary.json()).toEqual({ error: 'Cannot read the file as UTF-8: byte 1 is none' });
  expect((await post('/summary', new Uint8Array(9 * 1024 * 1024))).status).toBe(413);
});

test('examples: django runs on a runtime of its own, migrates its database, and serves forms and JSON', async () => {
  const { url } = await examples.follow('django');
  const made = await fetch(`${url}/api/notes`, json({ text: 'water <the> plants' }));
  expect(made.status).toBe(201);
  const note = (await made.json()) as { id: number };
  const listed = (await (await fetch(`${url}/api/notes`)).json()) as { notes: unknown[] };
  expect(listed.notes[0]).toEqual(note);

  const page = await fetch(`${url}/`);
  const html = await page.text();
  expect(html).toContain('water &lt;the&gt; plants');
  const token = /name="csrfmiddlewaretoken" value="(\w+)"/.exec(html)?.[1] ?? '';
  const cookie = page.headers.getSetCookie()[0]?.split(';')[0] ?? '';
  const send = (fields: Record<string, string>) =>
    fetch(`${url}/`, { method: 'POST', headers: { cookie }, body: new URLSearchParams(fields), redirect: 'manual' });
  expect((await send({ text: 'forged' })).status).toBe(403);
  expect((await send({ text: 'by form', csrfmiddlewaretoken: token })).status).toBe(302);
  expect(await (await fetch(`${url}/`)).text()).toContain('<li>by form ');

  expect((await fetch(`${url}/api/notes`, json({ text: '' }))).status).toBe(400);
  expect((await fetch(`${url}/api/notes/${note.id}`, { method: 'DELETE' })).status).toBe(204);
  expect((await fetch(`${url}/api/notes/${note.id}`)).status).toBe(404);
}, 600_000);
