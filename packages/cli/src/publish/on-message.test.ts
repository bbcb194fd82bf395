import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../testing.ts';
import { onMessagePath, readOnMessage } from './on-message.ts';

describe('--on-message', () => {
  test('--on-message: takes one subscription, a list, or a file of them', async () => {
    await using folder = await temporaryFolder();
    const cwd = folder.path;
    await writeFile(join(cwd, 'on.json'), '[{"channel":"A"},{"type":"POST"}]');
    expect(await readOnMessage(' {"channel":"A"}', { cwd })).toEqual([{ channel: 'A' }]);
    expect(await readOnMessage('[{"content":{"ref":"x"}}]', { cwd })).toEqual([{ content: { ref: 'x' } }]);
    expect(await readOnMessage('on.json', { cwd })).toEqual([{ channel: 'A' }, { type: 'POST' }]);
  });

  test.each(['{}', '[]', '[1]', '{"a":', 'nowhere.json', JSON.stringify(Array.from({ length: 65 }, () => ({ a: 1 })))])(
    '--on-message: refuses what is none, and says what it would take',
    async (value) => {
      await using folder = await temporaryFolder();
      await expect(readOnMessage(value, { cwd: folder.path })).rejects.toThrow(
        /expected JSON such as {"channel":"TEST"}/,
      );
    },
  );

  test('--on-message: says what is wrong with a file, when it is none that can be read', async () => {
    await using folder = await temporaryFolder();
    const { path: cwd } = folder;
    await expect(readOnMessage('none.json', { cwd })).rejects.toThrow('none.json (no such file)');
    await expect(readOnMessage('.', { cwd })).rejects.toThrow('cannot be read: EISDIR');
  });

  test('--on-message-path: takes a path, and refuses what is none', () => {
    expect(onMessagePath('/on/message?a=b')).toBe('/on/message?a=b');
    for (const path of ['', 'on', '/a b', '/ä', '/a\r\nb: c', `/${'x'.repeat(1024)}`]) {
      expect(() => onMessagePath(path)).toThrow('expected a path');
    }
  });
});
