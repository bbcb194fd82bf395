import type { ItemHash } from '@vmlet/messages';
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as z from 'zod';
import { startTestNode, type TestNode } from '../framework/node.ts';
import { publishFile, publishProgram, zipOf } from '../framework/publish.ts';

const OK = `
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})
`;

let node: TestNode;

beforeAll(async () => {
  node = await startTestNode({ loadDeadlineMs: 20_000 });
});
afterAll(async () => node[Symbol.asyncDispose]());

const problemSchema = z.object({
  code: z.string(),
  phase: z.string(),
  cause: z.string(),
  next: z.string(),
  requestId: z.string(),
});

/** A problem document, with the words that every one of them must have. */
async function problemOf(answer: Response) {
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
  const problem = problemSchema.parse(await answer.json());
  expect(problem.cause).toMatch(/^Cannot /);
  expect(problem.next).not.toBe('');
  expect(problem.requestId).toBe(answer.headers.get('x-request-id'));
  return problem;
}

async function failureOf(program: ItemHash) {
  const answer = await node.ask(program);
  return { status: answer.status, ...(await problemOf(answer)) };
}

test('failures: an unknown program is 404', async () => {
  expect(await failureOf('0'.repeat(64) as ItemHash)).toMatchObject({ status: 404, code: 'PROGRAM_NOT_FOUND' });
});

test('failures: a missing module is named to the owner and not to visitors', async () => {
  const program = await node.deploy({ 'main.py': 'import a_module_of_mine\n' });
  const problem = await failureOf(program);
  expect(problem).toMatchObject({ status: 502, phase: 'load', code: 'PROGRAM_LOAD_FAILED' });
  expect(JSON.stringify(problem)).not.toContain('a_module_of_mine');
  const log = await node.logOf(program);
  expect(log).toContain('a_module_of_mine');
  expect(log).toContain('main.py');
});

test('failures: a missing entrypoint says so', async () => {
  const program = await node.deploy({ 'main.py': OK }, { entrypoint: 'main:application' });
  expect(await failureOf(program)).toMatchObject({ status: 502, code: 'PROGRAM_LOAD_FAILED' });
  expect(await node.logOf(program)).toContain('application');
});

test('failures: a program that exits while loading says so', async () => {
  const program = await node.deploy({ 'main.py': 'import os\nos._exit(3)\n' });
  const problem = await failureOf(program);
  expect(problem).toMatchObject({ status: 502, code: 'PROGRAM_EXITED_LOADING' });
  expect(problem.cause).toContain('exit code 3');
});

test('failures: a program that never listens is ended at its deadline', async () => {
  const program = await node.deploy({ 'main.py': 'import threading\nthreading.Event().wait()\n' });
  expect(await failureOf(program)).toMatchObject({ status: 504, code: 'PROGRAM_LOAD_TIMEOUT' });
});

test('failures: a crash during a request is 502, and the next request starts the program anew', async () => {
  const program = await node.deploy({ 'main.py': CRASHING });
  expect((await node.ask(program, '/')).status).toBe(200);
  const crash = await node.ask(program, '/crash');
  expect(crash.status).toBe(502);
  expect(await problemOf(crash)).toMatchObject({ code: 'PROGRAM_EXITED', phase: 'serve' });
  const next = await node.ask(program, '/');
  expect(next.status).toBe(200);
  expect(next.headers.get('server-timing')).toContain('boot');
});

const CRASHING = OK.replace(
  '    if scope["type"] == "http":',
  '    if scope["type"] == "http":\n        if scope["path"] == "/crash":\n            import os\n            os._exit(9)',
);

test('failures: a request over resources.seconds is 504, and the next one is not stuck behind it', async () => {
  const program = await node.deploy({ 'main.py': BLOCKING }, { seconds: 2 });
  expect((await node.ask(program, '/')).status).toBe(200);
  const slow = await node.ask(program, '/block');
  expect(slow.status).toBe(504);
  expect(await problemOf(slow)).toMatchObject({ code: 'REQUEST_TIMEOUT' });
  expect((await node.ask(program, '/')).status).toBe(200);
});

const BLOCKING = OK.replace(
  '    if scope["type"] == "http":',
  '    if scope["type"] == "http":\n        if scope["path"] == "/block":\n            import threading\n            threading.Event().wait()',
);

test('failures: an exception in a request is the program’s own 500, with its traceback in the log only', async () => {
  const program = await node.deploy({
    'main.py': 'async def app(scope, receive, send):\n    assert scope["type"] != "http", "s3cret"\n',
  });
  const answer = await node.ask(program);
  expect(answer.status).toBe(500);
  expect(await answer.text()).not.toContain('s3cret');
  expect(await node.logOf(program)).toContain('AssertionError: s3cret');
});

test('failures: what this version cannot run is refused in words', async () => {
  const persistent = await node.deploy({ 'main.py': OK }, { persistent: true });
  const problem = await failureOf(persistent);
  expect(problem).toMatchObject({ status: 501, code: 'PROGRAM_UNSUPPORTED' });
  expect(problem.cause).toContain('persistent');
});

test('failures: too little memory for any machine is refused in words, and the least that is taken does', async () => {
  const code = await publishFile(node, zipOf({ 'main.py': OK }));
  const withMemory = (memoryMiB: number) => publishProgram(node, { runtime: node.runtime, code, memoryMiB });
  const small = await failureOf(await withMemory(64));
  expect(small).toMatchObject({ status: 501, code: 'PROGRAM_UNSUPPORTED' });
  expect(small.cause).toContain('64 MiB of memory (Linux and a launcher take 112 at least)');
  expect(await (await node.ask(await withMemory(112))).text()).toBe('ok');
});

test('failures: code that is no zip, a zip bomb and path traversal are refused before a machine starts', async () => {
  const bad = {
    'no zip': new Blob(['this is not a zip archive at all']),
    bomb: zipOf({ 'main.py': OK, zeros: '\0'.repeat(100_000_000) }),
    traversal: zipOf({ 'main.py': OK, '../outside': 'x' }),
  };
  for (const [name, blob] of Object.entries(bad)) {
    const code = await publishFile(node, blob);
    const program = await publishProgram(node, { runtime: node.runtime, code });
    expect(await failureOf(program), name).toMatchObject({ status: 502, code: 'CODE_REFUSED', phase: 'code' });
  }
});

test('failures: a runtime image that is no filesystem fails in the guest, with its console in the log', async () => {
  const runtime = await publishFile(node, new Blob([new Uint8Array(1024 * 1024)]));
  const program = await node.deploy({ 'main.py': OK }, { runtime });
  expect(await failureOf(program)).toMatchObject({ status: 502, code: 'MACHINE_BOOT_FAILED', phase: 'boot' });
  expect(await node.logOf(program)).toContain('/dev/vda');
});

test('failures: a stranger’s unsigned file is refused by a node that only its operator uses', async () => {
  const form = new FormData();
  form.set('file', new Blob(['of nobody']));
  const answer = await fetch(`${node.url}/api/v0/storage/add_file`, { method: 'POST', body: form });
  expect(answer.status).toBe(403);
  expect(await answer.json()).toMatchObject({ code: 'UPLOAD_UNSIGNED' });
});

test('failures: plain code runs too', async () => {
  const code = await publishFile(node, new Blob([OK]));
  const program = await publishProgram(node, { runtime: node.runtime, code, encoding: 'plain', entrypoint: 'app' });
  expect(await (await node.ask(program)).text()).toBe('ok');
});
