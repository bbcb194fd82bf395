import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ItemHash } from '@vmlet/messages';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestNode, type TestNode } from '../framework/node.ts';
import { forget, publishFile, publishProgram, zipOf } from '../framework/publish.ts';

/** Answers with its version, once it has the whole body. */
const versioned = (version: string) => ({
  'main.py': `
VERSION = "${version}"
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("HTTP alone")
    if scope["method"] == "POST":
        print("begun")
    while (await receive()).get("more_body", False):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": VERSION.encode()})
`,
});
const BROKEN = { 'main.py': 'import nothing_here' };

let node: TestNode;

beforeAll(async () => {
  node = await startTestNode({ pauseAfterMs: 60_000 });
});
afterAll(() => node[Symbol.asyncDispose]());

/** Asks a program again and again, one request after the other and three at once, until it is told to stop. */
function load(program: ItemHash) {
  const answers: string[] = [];
  const seen = new Map<string, () => void>();
  let isOver = false;
  const one = async () => {
    while (!isOver) {
      const answer = await node.ask(program);
      const body = await answer.text();
      answers.push(answer.status === 200 ? body : `${answer.status} ${body}`);
      seen.get(body)?.();
    }
  };
  const running = Promise.all([one(), one(), one()]);
  return {
    /** Resolves when a version answers. */
    answers: (version: string) => new Promise<void>((resolve) => void seen.set(version, resolve)),
    /** What was answered, each kind once. */
    stop: async () => {
      isOver = true;
      await running;
      return [...new Set(answers)];
    },
  };
}

/** A request whose body ends when the test says so. */
function slowly(program: ItemHash) {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const init = { method: 'POST', body: readable, duplex: 'half' } as RequestInit;
  const answer = node.ask(program, '/', init).then((response) => response.text());
  return {
    /** Resolves when it is with the program. */
    begun: Promise.all([writer.write(Buffer.from('x')), node.logSays(program, 'begun')]),
    end: async () => {
      await writer.close();
      return await answer;
    },
  };
}

const isAsked = async (program: ItemHash) => await (await node.ask(program)).text();

describe('updates', () => {
  test('updates: a program that replaces a running one takes its place, and no request is lost or answered by both', async () => {
    const program = await node.deploy(versioned('one'), { allowAmend: true });
    const code = await publishFile(node, zipOf(versioned('two')));
    expect(await isAsked(program)).toBe('one');
    const loaded = load(program);
    const slow = slowly(program);
    await slow.begun;
    await loaded.answers('one');
    const newest = loaded.answers('two');
    const replacement = await publishProgram(node, { runtime: node.runtime, code, replaces: program });
    await newest;
    expect(await loaded.stop()).toEqual(['one', 'two']);
    // The old machine is there for as long as somebody waits for it, and then no more.
    expect(await node.logOf(program)).not.toContain('Stopping');
    expect(await slow.end()).toBe('one');
    await node.logSays(program, `Stopping: version ${replacement.slice(0, 12)} has taken its place`);
    expect(await isAsked(replacement)).toBe('two');
  });

  test('updates: a program whose code was updated is replaced while it runs, and no request is lost', async () => {
    const code = await publishFile(node, zipOf(versioned('one')));
    const program = await publishProgram(node, { runtime: node.runtime, code });
    expect(await isAsked(program)).toBe('one');
    const loaded = load(program);
    const slow = slowly(program);
    await slow.begun;
    await loaded.answers('one');
    const newest = loaded.answers('two');
    await publishFile(node, zipOf(versioned('two')), { ref: code });
    await newest;
    expect(await loaded.stop()).toEqual(['one', 'two']);
    expect(await slow.end()).toBe('one');
    await node.logSays(program, 'Stopping: a new machine has taken its place');
  });

  test('updates: a version that does not start leaves the one before it serving, and the log says why', async () => {
    const code = await publishFile(node, zipOf(versioned('one')));
    const program = await publishProgram(node, { runtime: node.runtime, code, allowAmend: true });
    expect(await isAsked(program)).toBe('one');
    const broken = await publishFile(node, zipOf(BROKEN), { ref: code });
    await node.logSays(program, 'An update was not taken: Cannot load the program: MODULE_NOT_FOUND');
    expect(await isAsked(program)).toBe('one');
    // The owner takes it back.
    await forget(node, [broken]);
    const replacement = await publishProgram(node, {
      ...{ runtime: node.runtime, code: await publishFile(node, zipOf(BROKEN)), replaces: program },
    });
    await node.logSays(replacement, 'Cannot load the program: MODULE_NOT_FOUND');
    await node.logSays(program, 'What served before it goes on');
    expect(await isAsked(program)).toBe('one');
  });

  test('updates: a replacement that is forgotten gives its place back', async () => {
    const program = await node.deploy(versioned('one'), { allowAmend: true });
    const code = await publishFile(node, zipOf(versioned('two')));
    const replacement = await publishProgram(node, { runtime: node.runtime, code, replaces: program });
    expect(await isAsked(program)).toBe('two');
    await forget(node, [replacement]);
    expect(await isAsked(program)).toBe('one');
  });

  test('updates: a paused machine is replaced too, and the snapshot of the old files by one of the new', async () => {
    await using other = await startTestNode({ snapshotBudgetMiB: 1024, pauseAfterMs: 50 });
    const snapshots = () => readdir(join(other.home, 'snapshots'));
    const code = await publishFile(other, zipOf(versioned('one')));
    const program = await publishProgram(other, { runtime: other.runtime, code });
    await other.logSays(program, 'Saved for quick starts');
    const before = await snapshots();
    expect(await (await other.ask(program)).text()).toBe('one');
    let state = '';
    while (state !== 'paused') {
      const { programs } = await other.owner<{ programs: { state: string }[] }>('/programs');
      state = programs[0]?.state ?? '';
    }
    await publishFile(other, zipOf(versioned('two')), { ref: code });
    await other.logSays(program, 'Stopping: a new machine has taken its place');
    expect(await (await other.ask(program)).text()).toBe('two');
    let log = '';
    while (log.split('Saved for quick starts').length < 3) log = await other.logOf(program);
    const after = await snapshots();
    expect(before.every((key) => after.includes(key))).toBe(false);
    await other.endMachine(program);
    const answer = await other.ask(program);
    expect([await answer.text(), answer.headers.get('server-timing')]).toEqual([
      'two',
      expect.stringContaining('program'),
    ]);
  });
});
