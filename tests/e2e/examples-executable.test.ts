import { afterAll, beforeAll, expect, test } from 'vitest';
import { copyExamples, type Examples } from '../framework/examples.ts';
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

const post = (body: string) => ({ method: 'POST', body });

test('examples: static-c draws a picture, and serves many requests at once', async () => {
  const { url } = await examples.follow('static-c');
  const picture = await fetch(`${url}/mandelbrot.bmp?side=100`);
  expect(picture.headers.get('content-type')).toBe('image/bmp');
  const bytes = Buffer.from(await picture.arrayBuffer());
  expect(bytes.toString('latin1', 0, 2)).toBe('BM');
  expect(bytes.readUInt32LE(2)).toBe(bytes.length);
  // The middle of the set is black, its corner is not.
  const pixel = (x: number, y: number) => bytes.subarray(54 + y * 300 + x * 3).readUIntBE(0, 3);
  expect(pixel(50, 50)).toBe(0);
  expect(pixel(0, 0)).not.toBe(0);

  const many = await Promise.all(Array.from({ length: 32 }, () => fetch(`${url}/mandelbrot.bmp?side=50`)));
  expect(new Set(many.map(({ status }) => status))).toEqual(new Set([200]));
  expect((await fetch(`${url}/mandelbrot.bmp?side=nan`)).status).toBe(400);
  expect((await fetch(`${url}/mandelbrot.bmp?side=1e9`)).status).toBe(400);
  expect((await fetch(`${url}/none`)).status).toBe(404);
  expect((await fetch(`${url}/`, post('x'.repeat(100_000)))).status).toBe(405);
  expect((await fetch(`${url}/`, { method: 'HEAD' })).headers.get('content-length')).toBe('53');
});

test('examples: busybox-httpd serves files and runs CGI scripts', async () => {
  const { url, program } = await examples.follow('busybox-httpd');
  expect(await (await fetch(`${url}/`)).text()).toContain('<h1>A machine of its own</h1>');
  const machine = await (await fetch(`${url}/cgi-bin/machine`)).json();
  expect(machine).toMatchObject({ processors: 1, memoryKiB: expect.any(Number) });

  const pasted = await fetch(`${url}/cgi-bin/paste`, post('line 1\nline 2\n'));
  expect(pasted.status).toBe(201);
  const name = (await pasted.text()).trim();
  expect(await (await fetch(`${url}/cgi-bin/paste?${name}`)).text()).toBe('line 1\nline 2\n');
  expect((await fetch(`${url}/cgi-bin/paste?../${name}`)).status).toBe(400);
  expect((await fetch(`${url}/cgi-bin/paste?00`)).status).toBe(404);
  expect((await fetch(`${url}/cgi-bin/paste`, post('x'.repeat(70_000)))).status).toBe(413);
  expect((await fetch(`${url}/run.sh`)).status).toBe(404);
  expect(await node.logOf(program)).toContain('stdout: serving 3 files');
});
