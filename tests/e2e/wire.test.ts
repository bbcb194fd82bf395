import { createHash, randomBytes } from 'node:crypto';
import { readdir, readFile, readlink } from 'node:fs/promises';
import type { ItemHash } from '@vmlet/messages';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestNode, type TestNode } from '../framework/node.ts';

const MIB = 1024 * 1024;
const PROGRAM = `
import hashlib, os

async def body_of(receive):
    while True:
        message = await receive()
        yield message.get("body", b"")
        if not message.get("more_body"): return

async def app(scope, receive, send):
    path = scope["path"]
    start = {"type": "http.response.start", "status": 200, "headers": []}
    if path == "/interfaces":
        await send(start)
        await send({"type": "http.response.body", "body": " ".join(sorted(os.listdir("/sys/class/net"))).encode()})
    elif path == "/sum":
        digest = hashlib.sha256()
        async for part in body_of(receive): digest.update(part)
        await send(start)
        await send({"type": "http.response.body", "body": digest.hexdigest().encode()})
    elif path.startswith("/bulk/"):
        await send(start)
        for index in range(int(path[6:])):
            await send({"type": "http.response.body", "body": bytes([index % 251]) * 1048576, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    else:
        await send(start)
        await send({"type": "http.response.body", "body": b"hello"})
`;

let it: TestNode;
let program: ItemHash;
beforeAll(async () => {
  it = await startTestNode();
  program = await it.deploy({ 'main.py': PROGRAM }, { seconds: 120 });
});
afterAll(async () => it[Symbol.asyncDispose]());

/** What "/bulk" answers, hashed. */
function bulkSum(mib: number): string {
  const digest = createHash('sha256');
  for (let index = 0; index < mib; index++) digest.update(Buffer.alloc(MIB, index % 251));
  return digest.digest('hex');
}

async function sumOf(answer: Response): Promise<string> {
  const digest = createHash('sha256');
  for await (const chunk of answer.body ?? []) digest.update(chunk);
  return digest.digest('hex');
}

test('wire: carries 100 MiB whole, beside other streams and a reader that has stopped', async () => {
  const stalled = await it.ask(program, '/bulk/64');
  const reader = stalled.body?.getReader();
  await reader?.read();
  // The reader takes nothing more: its stream stands still, and no other does.
  const sizes = [100, 5, 6, 7, 8];
  const sums = await Promise.all(sizes.map(async (mib) => sumOf(await it.ask(program, `/bulk/${mib}`))));
  expect(sums).toEqual(sizes.map(bulkSum));
  expect(await (await it.ask(program)).text()).toBe('hello');
  await reader?.cancel();
});

test('wire: carries bodies to the program whole, several at a time', async () => {
  const bodies = [20 * MIB, 1, 3 * MIB + 7].map((bytes) => randomBytes(bytes));
  const answers = await Promise.all(
    bodies.map(async (body) => (await it.ask(program, '/sum', { method: 'POST', body })).text()),
  );
  expect(answers).toEqual(bodies.map((body) => createHash('sha256').update(body).digest('hex')));
});

test('wire: is the only way in: the guest has no network card, and QEMU no socket of the network', async () => {
  expect(await (await it.ask(program, '/interfaces')).text()).toBe('lo');
  const { programs } = await it.owner<{ programs: { itemHash: string; pid: number }[] }>('/programs');
  const pid = programs.find(({ itemHash }) => itemHash === program)?.pid;
  const links = (await readdir(`/proc/${pid}/fd`)).map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => ''));
  const inodes = (await Promise.all(links)).flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []);
  expect(inodes.length).toBeGreaterThanOrEqual(4);
  for (const table of ['tcp', 'tcp6', 'udp', 'udp6', 'raw', 'packet']) {
    const rows = (await readFile(`/proc/${pid}/net/${table}`, 'utf8').catch(() => '')).split('\n').slice(1);
    const used = rows.map(
      (row) =>
        row
          .trim()
          .split(/\s+/)
          .at(table === 'packet' ? -1 : 9) ?? '',
    );
    expect(used.filter((inode) => inodes.includes(inode))).toEqual([]);
  }
});
