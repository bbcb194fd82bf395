import { once } from 'node:events';
import { mkdtempDisposable } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, test } from 'vitest';
import { QmpClient, QmpError } from './client.ts';

const GREETING = '{"QMP": {"version": {"qemu": {"major": 7}}, "capabilities": ["oob"]}}\r\n';

/** A client on a real socket; the test is QEMU. */
async function connected() {
  const dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  const server = createServer().listen(join(dir.path, 'qmp'));
  await once(server, 'listening');
  const accepted = once(server, 'connection');
  const stream = connect(join(dir.path, 'qmp'));
  const [qemu] = (await accepted) as [Socket];
  qemu.on('error', () => {});
  const events: [string, unknown][] = [];
  const client = new QmpClient(stream, (name, data) => events.push([name, data]));
  const lines = createInterface({ input: qemu })[Symbol.asyncIterator]();
  return {
    qemu,
    client,
    events,
    next: async () => JSON.parse((await lines.next()).value ?? ''),
    async [Symbol.asyncDispose]() {
      stream.destroy();
      qemu.destroy();
      await new Promise((resolve) => server.close(resolve));
      await dir.remove();
    },
  };
}

describe('QmpClient', () => {
  test('qmp: greets, leaves negotiation, and matches answers to commands in any order', async () => {
    await using it = await connected();
    const ready = it.client.handshake();
    for (const part of [GREETING.slice(0, 10), GREETING.slice(10)]) it.qemu.write(part);
    const { execute, id } = await it.next();
    expect(execute).toBe('qmp_capabilities');
    it.qemu.write(`{"return": {}, "id": ${id}}\r\n`);
    await ready;
    const first = it.client.execute('a', { x: 1 });
    const second = it.client.execute('b');
    const asked = [await it.next(), await it.next()];
    expect(asked).toMatchObject([{ execute: 'a', arguments: { x: 1 } }, { execute: 'b' }]);
    it.qemu.write(
      `{"event": "STOP", "data": {"y": 2}, "timestamp": {}}\n{"return": "table", "id": ${asked[1].id}}\n{"return": 7, "id": ${asked[0].id}}\n`,
    );
    expect(await Promise.all([first, second])).toEqual([7, 'table']);
    expect(it.events).toEqual([['STOP', { y: 2 }]]);
  });

  test('qmp: rejects what QEMU refuses, with its words', async () => {
    await using it = await connected();
    const refused = it.client.execute('cont');
    const { id } = await it.next();
    it.qemu.write(
      `{"error": {"class": "GenericError", "desc": "no such thing"}, "id": ${id}}\n{"return": {}, "id": 99}\n`,
    );
    await expect(refused).rejects.toThrow('Cannot do "cont": QEMU says "no such thing"');
  });

  test('qmp: rejects all that waits, when QEMU is gone, and all after', async () => {
    await using it = await connected();
    const waiting = [it.client.handshake(), it.client.execute('a'), it.client.execute('b')];
    it.qemu.destroy();
    for (const one of waiting) await expect(one).rejects.toBeInstanceOf(QmpError);
    await expect(it.client.execute('c')).rejects.toThrow(/^Cannot speak to QEMU/);
  });

  test.each([
    ['no JSON', 'nonsense\n'],
    ['no message of QMP', '{"x": 1}\n'],
    ['a line without end', 'x'.repeat(1024 * 1024 + 1)],
  ])('qmp: ends, on %s', async (_name, bytes) => {
    await using it = await connected();
    const waiting = it.client.execute('a');
    it.qemu.write(`${bytes}{"event": "LATE", "timestamp": {}}\n`);
    await expect(waiting).rejects.toThrow(/^Cannot read from QEMU/);
    expect(it.events).toEqual([]);
  });

  test('qmp: disturbs nobody, when QEMU is gone before anybody waits', async () => {
    await using it = await connected();
    it.qemu.destroy();
    await expect(it.client.handshake()).rejects.toBeInstanceOf(QmpError);
  });
});
