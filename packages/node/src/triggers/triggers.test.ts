import { EventEmitter, once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import type { ItemHash } from '@vmlet/messages';
import { describe, expect, test } from 'vitest';
import { VmletError } from '../errors.ts';
import { startTriggers } from './testing.ts';

interface Told {
  program: string;
  message: string;
  attempt: number;
}

/** Programs that keep what they are told, and answer with a status, or never. */
function programs(answer: (told: Told) => number | 'never' = () => 200) {
  const told: Told[] = [];
  const events = new EventEmitter();
  const held: ServerResponse[] = [];
  const serve = async (request: IncomingMessage, response: ServerResponse) => {
    const body = (await json(request)) as { item_hash: string };
    const attempt = Number(request.headers['ce-attempt']);
    const one = { program: (request.url ?? '').slice(1), message: body.item_hash, attempt };
    told.push(one);
    const status = answer(one);
    if (status === 'never') held.push(response);
    else response.writeHead(status).end();
    events.emit('told');
  };
  return {
    told,
    serve: (request: IncomingMessage, response: ServerResponse) => void serve(request, response),
    /** Answers those that it had left without an answer. */
    release: () => {
      for (const response of held.splice(0)) response.writeHead(500).end();
    },
    /** Waits until so many tries have come. */
    until: async (count: number) => {
      while (told.length < count) await once(events, 'told');
    },
  };
}

/** Waits, without a clock, until something is so: each look gives the loop a turn. */
async function eventually<T>(look: () => T | Promise<T>, wanted: (found: T) => boolean): Promise<T> {
  for (;;) {
    const found = await look();
    if (wanted(found)) return found;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('triggers', () => {
  test('triggers: a message that a program takes is told once, and is gone then', async () => {
    const asked = programs();
    await using fixture = await startTriggers(asked.serve);
    const program = await fixture.program([{ channel: 'A' }]);
    const message = await fixture.post('A');
    await fixture.post('B');
    await asked.until(1);
    await eventually(
      () => fixture.waiting(program),
      (count) => count === 0,
    );
    expect(asked.told).toEqual([{ program, message, attempt: 1 }]);
  });

  test('triggers: a message that is not taken is told again, then is a dead letter, and is told again by hand', async () => {
    let status = 500;
    const asked = programs(() => status);
    await using fixture = await startTriggers(asked.serve);
    const program = await fixture.program([{ channel: 'A' }]);
    const message = await fixture.post('A');
    const dead = () => fixture.triggers.deliveries('dead', { program, limit: 9 });
    const [letter] = await eventually(dead, ({ length }) => length > 0);
    expect(asked.told.map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
    expect(letter).toMatchObject({ message, tries: 3, failure: expect.stringContaining('status 500') });
    expect(fixture.triggers.list()).toEqual([{ itemHash: program, on: [{ channel: 'A' }], waiting: 0, dead: 1 }]);
    status = 204;
    fixture.triggers.retry(letter?.id ?? 0);
    await eventually(dead, ({ length }) => length === 0);
    await asked.until(4);
    expect(asked.told.at(-1)).toEqual({ program, message, attempt: 1 });
    expect(() => fixture.triggers.retry(letter?.id ?? 0)).toThrow('there is none that is dead');
    expect(fixture.triggers.retryAll(program)).toBe(0);
  });

  test('triggers: a program that never answers holds up no other, and has a few messages at a time', async () => {
    let slow = '';
    const asked = programs(({ program }) => (program === slow ? 'never' : 200));
    await using fixture = await startTriggers(asked.serve);
    slow = await fixture.program([{ channel: 'A' }]);
    const quick = await fixture.program([{ channel: 'A' }]);
    for (let count = 0; count < 20; count++) await fixture.post('A');
    await eventually(
      () => fixture.waiting(quick),
      (count) => count === 0,
    );
    const of = (program: string) => asked.told.filter((one) => one.program === program).length;
    expect([of(slow), of(quick)]).toEqual([4, 20]);
    expect(await fixture.waiting(slow as ItemHash)).toBe(20);
    await Promise.all([fixture.close(), asked.release()]);
  });

  test('triggers: a program that may not be asked now loses no try, and one that may not run is told of nothing', async () => {
    const asked = programs();
    await using fixture = await startTriggers(asked.serve);
    const [stopped, blocked] = [await fixture.program([{ channel: 'A' }]), await fixture.program([{ channel: 'A' }])];
    fixture.refused.set(stopped, new VmletError('PROGRAM_STOPPED', { operands: { itemHash: stopped } }));
    fixture.refused.set(blocked, new VmletError('CONTENT_BLOCKED', { operands: { what: blocked } }));
    await fixture.post('A');
    expect([await fixture.waiting(stopped), await fixture.waiting(blocked)]).toEqual([1, 0]);
    await fixture.close();
    fixture.open();
    const [delivery] = fixture.triggers.deliveries('waiting', { program: stopped, limit: 9 });
    expect(delivery).toMatchObject({ tries: 0, failure: null });
    expect(asked.told).toEqual([]);
  });

  test('triggers: what came while no node ran is told by the next one, to who was there before it', async () => {
    const asked = programs();
    await using fixture = await startTriggers(asked.serve);
    const [first, gone] = [await fixture.program([{ channel: 'A' }]), await fixture.program([{ channel: 'A' }])];
    await fixture.close();
    const message = await fixture.post('A');
    const forgotten = await fixture.post('A');
    const late = await fixture.program([{ channel: 'A' }]);
    const last = await fixture.post('A');
    await fixture.forget(forgotten, gone);
    fixture.open();
    await asked.until(3);
    await Promise.all(
      [first, late].map((one) =>
        eventually(
          () => fixture.waiting(one),
          (count) => count === 0,
        ),
      ),
    );
    const told = asked.told.map(({ program, message: of }) => `${program} ${of}`);
    expect(told.toSorted()).toEqual([`${first} ${message}`, `${first} ${last}`, `${late} ${last}`].toSorted());
  });

  test('triggers: a message that is forgotten is told no more, nor is any to a program that is forgotten', async () => {
    const asked = programs(() => 500);
    await using fixture = await startTriggers(asked.serve, {
      maxTries: 2,
      backOffMs: 3_600_000,
      maxBackOffMs: 3_600_000,
    });
    const [program, gone] = [await fixture.program([{ channel: 'A' }]), await fixture.program([{ channel: 'A' }])];
    const message = await fixture.post('A');
    const failed = () => fixture.triggers.deliveries('waiting', { limit: 9 }).filter(({ tries }) => tries === 1).length;
    await eventually(failed, (count) => count === 2);
    await fixture.forget(gone);
    expect(await fixture.waiting(gone)).toBe(0);
    await fixture.forget(message);
    await fixture.close();
    fixture.open();
    expect(asked.told.length).toBe(2);
    expect(await fixture.waiting(program)).toBe(1);
  });

  test('triggers: deliveries of a program are those of all its versions, and go to the one that serves', async () => {
    const asked = programs();
    await using fixture = await startTriggers(asked.serve);
    const original = await fixture.program([{ channel: 'A' }]);
    await fixture.program([{ channel: 'B' }], { replaces: original });
    await fixture.post('A');
    const message = await fixture.post('B');
    await asked.until(1);
    expect(asked.told).toEqual([{ program: original, message, attempt: 1 }]);
    expect(fixture.triggers.list()).toMatchObject([{ itemHash: original, on: [{ channel: 'B' }] }]);
  });
});
