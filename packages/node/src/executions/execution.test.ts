import { describe, expect, test } from 'vitest';
import { VmletError } from '../errors.ts';
import { ExecutionOver } from './execution.ts';
import { PHASES, startExecution } from './testing.ts';

const never = new AbortController().signal;
const died = () => new VmletError('MACHINE_DIED', { operands: { machine: 'stub', found: 'exit code 1' } });
const textOf = async (log: { tail(lines: number): Promise<{ text: string }[]> }) =>
  (await log.tail(100)).map(({ text }) => text).join('\n');

/** What has settled by now, without waiting for what has not. */
async function settledOf<T>(promises: Promise<T>[]): Promise<number> {
  let settled = 0;
  for (const promise of promises)
    promise.then(
      () => settled++,
      () => settled++,
    );
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  return settled;
}

describe('waking', () => {
  test('execution: starts one machine, and serves all that wait in their order', async () => {
    await using it = await startExecution({ maxInFlight: 1 });
    const order: number[] = [];
    const requests = [0, 1, 2].map(async (name) => {
      using lease = await it.execution.acquire(never);
      order.push(name);
      return lease;
    });
    expect(it.execution.state).toBe('waking');
    it.up();
    const leases = await Promise.all(requests);
    expect(order).toEqual([0, 1, 2]);
    expect(it.wakes).toBe(1);
    expect(leases.map((lease) => lease.phases)).toEqual([PHASES, PHASES, PHASES]);
    expect(it.execution).toMatchObject({ state: 'running', served: 3, inFlight: 0, pid: 4242 });
  });

  test('execution: tells the phases to those only that waited for the start', async () => {
    await using it = await startExecution({ maxInFlight: 1 });
    const cold = it.execution.acquire(never);
    it.up();
    const first = await cold;
    const queued = it.execution.acquire(never);
    first[Symbol.dispose]();
    using second = await queued;
    expect(second.phases).toBeUndefined();
  });

  test('execution: rejects all that wait with why it did not start, and tells its log', async () => {
    await using it = await startExecution();
    const requests = [1, 2].map(() => it.execution.acquire(never));
    it.fail(new VmletError('PROGRAM_LOAD_FAILED', { operands: { code: 'IMPORT_FAILED' }, detail: 'Traceback' }));
    for (const request of requests) await expect(request).rejects.toMatchObject({ code: 'PROGRAM_LOAD_FAILED' });
    await it.execution.ended;
    expect(it.execution.state).toBe('ended');
    await expect(it.execution.acquire(never)).rejects.toBeInstanceOf(ExecutionOver);
    expect(await textOf(it.log)).toContain('Traceback');
  });

  test('execution: turns an unforeseen failure into INTERNAL', async () => {
    await using it = await startExecution();
    const request = it.execution.acquire(never);
    it.fail(new RangeError('odd'));
    await expect(request).rejects.toMatchObject({ code: 'INTERNAL', message: expect.stringContaining('odd') });
  });

  test('execution: sends those that wait to another machine, when it is stopped before it is up', async () => {
    await using it = await startExecution();
    const request = it.execution.acquire(never);
    const stopped = it.execution.stop('test');
    expect(it.wakeSignal.aborted).toBe(true);
    expect(it.execution).toMatchObject({ accepting: false, leaving: true });
    it.fail(it.wakeSignal.reason);
    await expect(request).rejects.toBeInstanceOf(ExecutionOver);
    await stopped;
    expect(it.execution.state).toBe('ended');
  });

  test('execution: kills its machine and gives nobody a place, when it is stopped as it comes up', async () => {
    await using it = await startExecution();
    const request = it.execution.acquire(never);
    it.up();
    const stopped = it.execution.stop('test');
    await expect(request).rejects.toBeInstanceOf(ExecutionOver);
    await stopped;
    expect(it.machine.kills).toBe(1);
    expect(it.poolDestroyed).toBe(true);
  });
});

describe('the line', () => {
  test('execution: refuses what is over its bound, while waking and while running', async () => {
    await using it = await startExecution({ maxInFlight: 1, maxQueued: 1 });
    const waiting = [1, 2].map(() => it.execution.acquire(never));
    await expect(it.execution.acquire(never)).rejects.toMatchObject({ code: 'QUEUE_FULL' });
    it.up();
    const first = await waiting[0]!;
    await expect(it.execution.acquire(never)).rejects.toMatchObject({
      code: 'QUEUE_FULL',
      message: 'Cannot queue the request: 1 requests wait for the program, expected fewer',
    });
    first[Symbol.dispose]();
    using second = await waiting[1]!;
    expect(it.execution.inFlight).toBe(1);
    expect(second.phases).toEqual(PHASES);
  });

  test('execution: holds no more at a time than it may, and the next takes the place at once', async () => {
    await using it = await startExecution({ maxInFlight: 2, maxQueued: 10 });
    const requests = Array.from({ length: 5 }, () => it.execution.acquire(never));
    it.up();
    const first = await Promise.race(requests);
    expect(await settledOf(requests)).toBe(2);
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    expect(await settledOf(requests)).toBe(3);
    expect(it.execution).toMatchObject({ inFlight: 2, served: 1 });
    for (const request of requests) (await request)[Symbol.dispose]();
    expect(it.execution).toMatchObject({ inFlight: 0, served: 5 });
  });

  test('execution: frees the place in the line of a client that left', async () => {
    await using it = await startExecution({ maxInFlight: 1, maxQueued: 0 });
    const client = new AbortController();
    const waiting = it.execution.acquire(client.signal);
    client.abort(new Error('left'));
    await expect(waiting).rejects.toThrow('left');
    await expect(it.execution.acquire(client.signal)).rejects.toThrow('left');
    const other = it.execution.acquire(never);
    it.up();
    using lease = await other;
    expect(lease.phases).toEqual(PHASES);
  });

  test('execution: passes a place on, that it gave in the moment the client left', async () => {
    await using it = await startExecution({ maxInFlight: 1 });
    it.up();
    const holder = await it.execution.acquire(never);
    const client = new AbortController();
    const leaving = it.execution.acquire(client.signal);
    const next = it.execution.acquire(never);
    client.abort(new Error('left'));
    holder[Symbol.dispose]();
    await expect(leaving).rejects.toThrow('left');
    (await next)[Symbol.dispose]();
    expect(it.execution.inFlight).toBe(0);
  });
});

describe('ending', () => {
  const running = async (limits = {}) => {
    const it = await startExecution(limits);
    it.up();
    const lease = await it.execution.acquire(never);
    return { it, lease };
  };

  test('execution: halts its machine, when nobody has asked for a while', async () => {
    const { it, lease } = await running({ idleMs: 5 });
    await using _it = it;
    lease[Symbol.dispose]();
    await it.execution.ended;
    expect(it.machine.halts).toEqual([1000]);
    expect(await textOf(it.log)).toContain('Stopping: nobody asked for it');
  });

  test('execution: halts its machine, when all that asked have left while it woke', async () => {
    await using it = await startExecution({ idleMs: 5 });
    const client = new AbortController();
    const waiting = it.execution.acquire(client.signal);
    client.abort(new Error('left'));
    await expect(waiting).rejects.toThrow('left');
    it.up();
    await it.execution.ended;
    expect(it.machine.halts).toHaveLength(1);
  });

  test('execution: sends those that wait to another machine, when its machine dies, and explains it to the others', async () => {
    const { it, lease } = await running({ maxInFlight: 1 });
    await using _it = it;
    const waiting = it.execution.acquire(never);
    const explained = lease.explain(new Error('other side closed'));
    it.machine.end(died());
    expect(it.execution).toMatchObject({ accepting: false, leaving: true });
    expect(await explained).toMatchObject({ code: 'MACHINE_DIED' });
    await expect(waiting).rejects.toBeInstanceOf(ExecutionOver);
    await it.execution.ended;
    lease[Symbol.dispose]();
    expect(it.execution.state).toBe('ended');
    expect(await textOf(it.log)).toContain('exit code 1');
  });

  test('execution: gives no place at a machine that is about to end', async () => {
    const { it, lease } = await running({ maxInFlight: 1 });
    await using _it = it;
    const waiting = it.execution.acquire(never);
    it.machine.ending = true;
    lease[Symbol.dispose]();
    await expect(it.execution.acquire(never)).rejects.toBeInstanceOf(ExecutionOver);
    it.machine.end(died());
    await expect(waiting).rejects.toBeInstanceOf(ExecutionOver);
  });

  test('execution: says what broke, when the machine lives on', async () => {
    const { it, lease } = await running();
    await using _it = it;
    expect(await lease.explain(new Error('other side closed'))).toMatchObject({
      code: 'ANSWER_BROKEN',
      message: 'Cannot finish the request: the connection ended (other side closed), expected an HTTP answer',
    });
    lease[Symbol.dispose]();
  });

  test('execution: takes no more once a request was over its time, and halts when the others are done', async () => {
    const { it, lease } = await running({ maxInFlight: 2 });
    await using _it = it;
    const other = await it.execution.acquire(never);
    const waiting = it.execution.acquire(never);
    lease.retire();
    lease.retire();
    await expect(waiting).rejects.toBeInstanceOf(ExecutionOver);
    await expect(it.execution.acquire(never)).rejects.toBeInstanceOf(ExecutionOver);
    expect(it.execution.state).toBe('retiring');
    lease[Symbol.dispose]();
    expect(it.machine.halts).toEqual([]);
    other[Symbol.dispose]();
    await it.execution.ended;
    expect(it.machine.halts).toHaveLength(1);
  });

  test('execution: kills a machine that does not halt in its grace and some', async () => {
    const { it, lease } = await running({ graceMs: -4990 });
    await using _it = it;
    it.machine.onEnding = () => {
      if (it.machine.kills > 0) it.machine.end(died());
    };
    await it.execution.stop('test');
    expect(it.machine).toMatchObject({ halts: [-4990], kills: 1 });
    lease[Symbol.dispose]();
  });

  test('execution: stops once, however often it is asked', async () => {
    const { it, lease } = await running();
    await using _it = it;
    await Promise.all([it.execution.stop('a'), it.execution.stop('b')]);
    await it.execution.stop('c');
    expect(it.machine.halts).toHaveLength(1);
    lease[Symbol.dispose]();
    lease.retire();
    expect(it.execution.state).toBe('ended');
  });

  test('execution: closes its connections and its log’s lines, when its machine is gone', async () => {
    const { it, lease } = await running();
    await using _it = it;
    it.log.output('stdout', 'half a line', 1);
    it.machine.end(died());
    await it.execution.ended;
    expect(it.poolDestroyed).toBe(true);
    expect(await textOf(it.log)).toContain('half a line');
    lease[Symbol.dispose]();
  });
});
