import { spawnSync } from 'node:child_process';
import { chmod, mkdir, mkdtempDisposable, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { verifySignature } from '@vmlet/messages';
import { describe, expect, test } from 'vitest';
import { loadOrCreateKey } from './owner-key.ts';

const makeDir = () => mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));

async function withKeyFile(dir: string, text: string): Promise<string> {
  await mkdir(join(dir, 'keys'));
  const path = join(dir, 'keys', 'default.key');
  await writeFile(path, text, { mode: 0o600 });
  return path;
}

describe('loadOrCreateKey', () => {
  test('loadOrCreateKey: makes a private key that stays and signs, on first use', async () => {
    await using dir = await makeDir();
    const config = join(dir.path, 'config', 'vmlet');
    const first = await loadOrCreateKey(config);
    expect(first).toMatchObject({ created: true, path: join(config, 'keys', 'default.key') });
    expect(await readFile(first.path, 'utf8')).toMatch(/^[0-9a-f]{64}\n$/);
    expect((await stat(first.path)).mode & 0o777).toBe(0o600);
    expect((await stat(join(config, 'keys'))).mode & 0o777).toBe(0o700);
    const second = await loadOrCreateKey(config);
    expect(second.created).toBe(false);
    expect(second.signer.address).toBe(first.signer.address);
    const part = { chain: 'ETH', sender: second.signer.address, type: 'POST', item_hash: 'a'.repeat(64) } as const;
    const signable = { ...part, item_hash: part.item_hash as Parameters<typeof verifySignature>[0]['item_hash'] };
    const signature = await second.signer.sign(signable);
    expect(verifySignature({ ...signable, signature })).toEqual({ ok: true });
  });

  test('loadOrCreateKey: gives one key to all, when many are first at once', async () => {
    await using dir = await makeDir();
    const keys = await Promise.all(Array.from({ length: 8 }, () => loadOrCreateKey(dir.path)));
    expect(new Set(keys.map(({ signer }) => signer.address)).size).toBe(1);
    expect(keys.filter(({ created }) => created)).toHaveLength(1);
    expect(await readdir(join(dir.path, 'keys'))).toEqual(['default.key']);
  });

  test('loadOrCreateKey: removes the copy of a secret that a killed process left, and no other', async () => {
    await using dir = await makeDir();
    await withKeyFile(dir.path, '1'.repeat(64));
    const part = (pid: number) => `default.key.${pid}-0123456789ab.part`;
    const left = [part(spawnSync('true').pid), part(process.pid)];
    for (const name of left) await writeFile(join(dir.path, 'keys', name), '2'.repeat(64));
    await loadOrCreateKey(dir.path);
    expect((await readdir(join(dir.path, 'keys'))).sort()).toEqual(['default.key', left[1]]);
  });

  test.each([0o640, 0o604, 0o660, 0o644])(
    'loadOrCreateKey: refuses a file that others may read, as %o',
    async (mode) => {
      await using dir = await makeDir();
      const path = await withKeyFile(dir.path, `${'1'.repeat(64)}\n`);
      await chmod(path, mode);
      await expect(loadOrCreateKey(dir.path)).rejects.toMatchObject({
        code: 'KEY_EXPOSED',
        message: `Cannot use the key '${path}': its mode is 0${mode.toString(8)}, expected 0600`,
      });
    },
  );

  test.each([
    ['nothing', ''],
    ['no key', 'hello'],
    ['zero', '0'.repeat(64)],
    ['a number past the order', 'f'.repeat(64)],
    ['too much', '1'.repeat(5000)],
  ])('loadOrCreateKey: refuses a file that holds %s, and does not quote it', async (_what, text) => {
    await using dir = await makeDir();
    const path = await withKeyFile(dir.path, text);
    const error: unknown = await loadOrCreateKey(dir.path).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'KEY_UNREADABLE' });
    if (text !== '') expect(String(error)).not.toContain(text);
    expect(await readFile(path, 'utf8')).toBe(text);
  });

  test('loadOrCreateKey: reads digits with 0x and in upper case', async () => {
    await using dir = await makeDir();
    await withKeyFile(dir.path, `0x${'AB'.repeat(32)}`);
    await expect(loadOrCreateKey(dir.path)).resolves.toMatchObject({ created: false });
  });
});
