import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, test } from 'vitest';
import { openDatabase } from './database.ts';
import { nodeMigrations } from './migrations.ts';

const makeDir = () => mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
const one = { version: 1, up: 'CREATE TABLE a (x INTEGER) STRICT' };
const two = { version: 2, up: 'ALTER TABLE a ADD COLUMN y INTEGER' };

describe('openDatabase', () => {
  test('openDatabase: commits to disk before it answers', async () => {
    await using dir = await makeDir();
    const database = openDatabase(join(dir.path, 'node.db'));
    expect(database.pragma('journal_mode', { simple: true })).toBe('wal');
    expect(database.pragma('synchronous', { simple: true })).toBe(2);
    expect(database.pragma('foreign_keys', { simple: true })).toBe(1);
    expect(database.pragma('user_version', { simple: true })).toBe(nodeMigrations.length);
    database.close();
  });

  test('openDatabase: runs the steps that are missing, each once', async () => {
    await using dir = await makeDir();
    const path = join(dir.path, 'node.db');
    const first = openDatabase(path, { migrations: [one] });
    first.exec('INSERT INTO a VALUES (7)');
    first.close();
    const second = openDatabase(path, { migrations: [one, two] });
    expect(second.prepare('SELECT * FROM a').all()).toEqual([{ x: 7, y: null }]);
    second.close();
    openDatabase(path, { migrations: [one, two] }).close();
  });

  test('openDatabase: stays at the old version, when a step fails', async () => {
    await using dir = await makeDir();
    const path = join(dir.path, 'node.db');
    const broken = { version: 2, up: 'CREATE TABLE b (x INTEGER); CREATE TABLE a (x INTEGER)' };
    expect(() => openDatabase(path, { migrations: [one, broken] })).toThrow(/already exists/);
    const database = openDatabase(path, { migrations: [one, two] });
    expect(database.prepare("SELECT name FROM sqlite_schema WHERE name = 'b'").get()).toBeUndefined();
    database.close();
  });

  test('openDatabase: refuses a newer database and leaves it as it is', async () => {
    await using dir = await makeDir();
    const path = join(dir.path, 'node.db');
    openDatabase(path, { migrations: [one, two] }).close();
    expect(() => openDatabase(path, { migrations: [one] })).toThrow(
      expect.objectContaining({
        code: 'FORMAT_NEWER',
        message: `Cannot open '${path}': its format is 2, expected at most 1`,
      }),
    );
    openDatabase(path, { migrations: [one, two] }).close();
  });

  test('openDatabase: refuses what is no database, or not one of ours', async () => {
    await using dir = await makeDir();
    const [text, foreign] = [join(dir.path, 'text'), join(dir.path, 'foreign.db')];
    await writeFile(text, 'x'.repeat(5000));
    const other = new Database(foreign);
    other.exec('CREATE TABLE theirs (x)');
    other.close();
    for (const path of [text, foreign]) {
      expect(() => openDatabase(path)).toThrow(expect.objectContaining({ code: 'FORMAT_UNREADABLE' }));
    }
  });

  test('transact: is STORAGE_FULL and undoes all, when the disk has no space', async (context) => {
    await using dir = await makeDir();
    const script = `
      import { openDatabase, transact } from ${JSON.stringify(join(import.meta.dirname, 'database.ts'))};
      const database = openDatabase(${JSON.stringify(join(dir.path, 'node.db'))}, { migrations: ${JSON.stringify([one])} });
      const insert = database.prepare('INSERT INTO a VALUES (?)');
      let error;
      try { transact(database, () => { for (let i = 0; i < 200000; i++) insert.run(i); }); } catch (e) { error = e; }
      const { n } = database.prepare('SELECT count(*) AS n FROM a').get();
      console.log(JSON.stringify([error?.code, error?.entry?.status, n]));`;
    const mount = 'mount -t tmpfs -o size=512k tmpfs "$1" && exec "$2" --input-type=module -e "$3"';
    const run = spawnSync('unshare', ['-rm', 'sh', '-c', mount, 'sh', dir.path, process.execPath, script]);
    context.skip(
      /unshare|mount:/.test(String(run.stderr)) || run.error !== undefined,
      'mount namespaces are not allowed here',
    );
    expect(String(run.stdout)).toBe('["STORAGE_FULL",507,0]\n');
  });

  test('openDatabase: keeps what was committed, after kill -9', async () => {
    await using dir = await makeDir();
    const path = join(dir.path, 'node.db');
    const migrations = JSON.stringify([one]);
    const script = `
      import { openDatabase } from ${JSON.stringify(join(import.meta.dirname, 'database.ts'))};
      const database = openDatabase(${JSON.stringify(path)}, { migrations: ${migrations} });
      database.exec('INSERT INTO a VALUES (1)');
      database.exec('BEGIN; INSERT INTO a VALUES (2)');
      process.stdout.write('written');
      process.stdin.resume();`;
    const writer = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(writer.stdout, 'data');
    writer.kill('SIGKILL');
    await once(writer, 'exit');
    const database = openDatabase(path, { migrations: [one] });
    expect(database.prepare('SELECT x FROM a').all()).toEqual([{ x: 1 }]);
    database.close();
  });
});
