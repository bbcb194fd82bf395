import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtempDisposable, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openHome } from './home.ts';

const makeDir = () => mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));

describe('openHome', () => {
  test('openHome: makes a private home with an id that stays', async () => {
    await using dir = await makeDir();
    const path = join(dir.path, 'state', 'vmlet');
    const id = await openHome(path).then((home) => {
      using held = home;
      return held.id;
    });
    expect(id).toMatch(/^[0-9a-f]{8}$/);
    expect(JSON.parse(await readFile(join(path, 'home.json'), 'utf8'))).toEqual({ format: 1, id });
    await chmod(path, 0o755);
    using again = await openHome(path);
    expect(again.id).toBe(id);
    expect(again.paths.database).toBe(join(path, 'node.db'));
    expect((await stat(path)).mode & 0o777).toBe(0o700);
  });

  test('openHome: refuses a second holder, within one process too', async () => {
    await using dir = await makeDir();
    using _home = await openHome(dir.path);
    await expect(openHome(dir.path)).rejects.toMatchObject({ code: 'HOME_LOCKED' });
  });

  test('openHome: is free again at once, after kill -9 of the holder', async () => {
    await using dir = await makeDir();
    const script = `
      import { openHome } from ${JSON.stringify(join(import.meta.dirname, 'home.ts'))};
      globalThis.home = await openHome(${JSON.stringify(dir.path)});
      process.stdout.write('held');
      process.stdin.resume();`;
    const holder = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(holder.stdout, 'data');
    await expect(openHome(dir.path)).rejects.toMatchObject({ code: 'HOME_LOCKED' });
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    using home = await openHome(dir.path);
    expect(home.dir).toBe(dir.path);
  });

  test('openHome: removes what a killed writer left unfinished, and nothing else', async () => {
    await using dir = await makeDir();
    (await openHome(dir.path))[Symbol.dispose]();
    const before = (await readdir(dir.path)).sort();
    await writeFile(join(dir.path, 'node.json.1-abc.part'), '{');
    (await openHome(dir.path))[Symbol.dispose]();
    expect((await readdir(dir.path)).sort()).toEqual(before);
  });

  test('openHome: refuses a newer format and says which it knows', async () => {
    await using dir = await makeDir();
    await writeFile(join(dir.path, 'home.json'), JSON.stringify({ format: 2, id: 'of another shape' }));
    await expect(openHome(dir.path)).rejects.toMatchObject({
      code: 'FORMAT_NEWER',
      message: `Cannot open '${join(dir.path, 'home.json')}': its format is 2, expected at most 1`,
    });
  });

  test.each(['', '{', '[]', '{"format":"1"}', '{"format":1}'])(
    'openHome: refuses a damaged home.json, as %j',
    async (text) => {
      await using dir = await makeDir();
      await writeFile(join(dir.path, 'home.json'), text);
      await expect(openHome(dir.path)).rejects.toMatchObject({ code: 'FORMAT_UNREADABLE' });
    },
  );

  test('openHome: touches nothing, when the folder holds files of others', async () => {
    await using dir = await makeDir();
    await writeFile(join(dir.path, 'notes.txt'), 'mine');
    await chmod(dir.path, 0o755);
    await expect(openHome(dir.path)).rejects.toMatchObject({ code: 'HOME_FOREIGN' });
    expect(await readdir(dir.path)).toEqual(['notes.txt']);
    expect((await stat(dir.path)).mode & 0o777).toBe(0o755);
  });

  test('openHome: goes on, when the very first start was killed before home.json', async () => {
    await using dir = await makeDir();
    await writeFile(join(dir.path, 'lock.db'), '');
    const killed = spawnSync('true').pid;
    await writeFile(join(dir.path, `home.json.${killed}-0123456789ab.part`), '{');
    using home = await openHome(dir.path);
    expect((await readdir(dir.path)).filter((name) => !name.startsWith('lock.db'))).toEqual(['home.json']);
    expect(home.id).toMatch(/^[0-9a-f]{8}$/);
  });
});
