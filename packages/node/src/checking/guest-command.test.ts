import { encodeRecord, FROM_COMMAND } from '@vmlet/guest-protocol/session';
import { expect, test } from 'vitest';
import { outputOf } from './guest-command.ts';
import { machineThatSays } from './testing.ts';

const { STDOUT, STDERR, EXIT } = FROM_COMMAND;
const never = new AbortController().signal;

async function collect(machine: ReturnType<typeof machineThatSays>, signal = never) {
  const output = outputOf(machine, ['x'], { signal });
  const chunks: string[] = [];
  for (;;) {
    const next = await output.next();
    if (next.done) return { chunks, end: next.value };
    chunks.push(next.value.toString());
  }
}

test('outputOf: gives the output as it comes, and how the command ended', async () => {
  const records = [
    encodeRecord(STDOUT, Buffer.from('one')),
    encodeRecord(STDERR, Buffer.from('oops')),
    encodeRecord(EXIT, Buffer.from([0, 7])),
  ];
  const expected = { chunks: ['one'], end: { status: 7, stderr: 'oops' } };
  expect(await collect(machineThatSays([Buffer.concat(records)]))).toEqual(expected);
  const bytes = [...Buffer.concat(records)].map((byte) => Buffer.from([byte]));
  expect((await collect(machineThatSays(bytes))).end).toEqual(expected.end);
  const killed = encodeRecord(EXIT, Buffer.from([1, 9]));
  expect((await collect(machineThatSays([killed]))).end.status).toBe(137);
});

test('outputOf: an end that nobody has told is none, and what breaks the format is refused', async () => {
  expect((await collect(machineThatSays([encodeRecord(STDOUT, Buffer.from('half'))]))).end.status).toBe(-1);
  expect((await collect(machineThatSays([encodeRecord(EXIT)]))).end.status).toBe(-1);
  const broken = machineThatSays([Buffer.from('ffffffffff', 'hex')]);
  await expect(collect(broken)).rejects.toMatchObject({ code: 'GUEST_MISBEHAVED' });
  await expect(collect(machineThatSays([], 'breaks'))).rejects.toMatchObject({ code: 'GUEST_MISBEHAVED' });
});

test('outputOf: gives the reason of its signal, while the guest says nothing', async () => {
  const controller = new AbortController();
  const waiting = collect(machineThatSays([], 'hangs'), controller.signal);
  controller.abort(new Error('enough'));
  await expect(waiting).rejects.toThrow('enough');
});
