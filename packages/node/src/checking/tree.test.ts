import { encodeRecord, FROM_COMMAND } from '@vmlet/guest-protocol/session';
import { expect, test } from 'vitest';
import { machineThatSays } from './testing.ts';
import { archiveFrom } from './tree.ts';

const { STDOUT, STDERR, EXIT } = FROM_COMMAND;
const signal = new AbortController().signal;
const OK = encodeRecord(EXIT, Buffer.from([0, 0]));
const tar = (text: string) => encodeRecord(STDOUT, Buffer.from(text));
const said = (words: object | string) =>
  encodeRecord(STDERR, Buffer.from(typeof words === 'string' ? words : `${JSON.stringify(words)}\n`));
const whole = (bytes: number) => said({ kind: 'whole', entries: 1, bytes });

async function archive(records: readonly Buffer[], end: 'ends' | 'breaks' = 'ends', maxBytes = 1000): Promise<string> {
  let text = '';
  const from = machineThatSays(records, end);
  for await (const chunk of archiveFrom(from, { imagePath: 'image', maxBytes, signal })) text += chunk.toString();
  return text;
}

test('readTree: an archive is given as it comes, if the guest says in the end that it was all', async () => {
  expect(await archive([tar('one'), tar('two'), whole(6), OK])).toBe('onetwo');
});

test('readTree: an archive that nobody has called whole is refused', async () => {
  const unreadable = (found: string) => ({ code: 'IMAGE_UNREADABLE', message: expect.stringContaining(found) });
  await expect(archive([tar('one'), whole(3)])).rejects.toMatchObject(unreadable('not whole (exit status -1)'));
  await expect(archive([tar('one'), OK])).rejects.toMatchObject(unreadable('3 bytes of an archive that is not whole'));
  await expect(archive([tar('one'), whole(4), OK])).rejects.toMatchObject(unreadable('3 bytes'));
  await expect(archive([tar('one'), said('nonsense'), OK])).rejects.toMatchObject(unreadable('3 bytes'));
  const killed = encodeRecord(EXIT, Buffer.from([1, 9]));
  await expect(archive([tar('one'), whole(3), killed])).rejects.toMatchObject(unreadable('exit status 137'));
  await expect(archive([tar('one'), whole(3), OK], 'breaks')).rejects.toMatchObject({ code: 'GUEST_MISBEHAVED' });
});

test('readTree: tells why the guest could not read it, and takes no more than it is to', async () => {
  const failed = said({ kind: 'failed', path: 'a/b', found: 'EIO' });
  const one = encodeRecord(EXIT, Buffer.from([0, 1]));
  await expect(archive([tar('one'), failed, one])).rejects.toThrow('EIO ("a/b")');
  await expect(archive([tar('x'.repeat(60)), whole(60), OK], 'ends', 50)).rejects.toThrow('more than 50 bytes');
});
