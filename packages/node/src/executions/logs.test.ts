import { appendFile, mkdir, mkdtempDisposable, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ItemHash } from '@vmlet/messages';
import { describe, expect, test } from 'vitest';
import { type LogEntry, ProgramLog, ProgramLogs } from './logs.ts';

const makeDir = () => mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
const textsOf = async (log: ProgramLog, lines = 1000) => (await log.tail(lines)).map(({ text }) => text);
const LINE = 'x'.repeat(8000);

describe('ProgramLog', () => {
  test('log: puts lines together again, for each stream apart', async () => {
    await using dir = await makeDir();
    const log = new ProgramLog(dir.path);
    log.output('stdout', 'a', 1);
    log.output('stderr', 'E', 2);
    log.output('stdout', 'b\nc\n\nd', 3);
    log.output('stderr', 'F\n', 4);
    expect(await log.tail(10)).toEqual([
      { timeMs: 3, stream: 'stdout', text: 'ab' },
      { timeMs: 3, stream: 'stdout', text: 'c' },
      { timeMs: 3, stream: 'stdout', text: '' },
      { timeMs: 4, stream: 'stderr', text: 'EF' },
    ]);
    log.platform('two\nlines');
    expect(await textsOf(log, 3)).toEqual(['d', 'two', 'lines']);
  });

  test('log: gives as many of the last lines as asked, none too', async () => {
    await using dir = await makeDir();
    const log = new ProgramLog(dir.path);
    log.output('stdout', '1\n2\n3\n', 0);
    expect(await textsOf(log, 2)).toEqual(['2', '3']);
    expect(await textsOf(log, 0)).toEqual([]);
    expect(await textsOf(log, 9)).toEqual(['1', '2', '3']);
  });

  test('log: is empty, before anything was added', async () => {
    await using dir = await makeDir();
    expect(await new ProgramLog(join(dir.path, 'absent')).tail(10)).toEqual([]);
    expect(await readdir(dir.path)).toEqual([]);
  });

  test('log: cuts lines without an end, so that they hold no memory', async () => {
    await using dir = await makeDir();
    const log = new ProgramLog(dir.path);
    for (let chunk = 0; chunk < 9; chunk++) log.output('stdout', 'y'.repeat(16 * 1024), 0);
    log.endLines();
    const texts = await textsOf(log);
    expect(texts.join('')).toBe('y'.repeat(9 * 16 * 1024));
    expect(Math.max(...texts.map((text) => text.length))).toBe(16 * 1024);
  });

  test('log: keeps control characters as they are, one entry a line of the file', async () => {
    await using dir = await makeDir();
    const log = new ProgramLog(dir.path);
    log.output('stdout', '\u001b[2Jx\u0000\u2028"\\\r\n', 0);
    expect(await textsOf(log)).toEqual(['\u001b[2Jx\u0000\u2028"\\\r']);
    expect((await readFile(join(dir.path, 'program.ndjson'), 'utf8')).trim().split('\n')).toHaveLength(1);
  });

  test('log: drops what comes faster than it is written, says how much, and keeps the rest in order', async () => {
    await using dir = await makeDir();
    const log = new ProgramLog(dir.path);
    for (let line = 0; line < 1000; line++) log.output('stdout', `${line} ${LINE}\n`, 0);
    await log.flushed();
    log.output('stdout', 'after\n', 0);
    const texts = await textsOf(log);
    const kept = texts.length - 2;
    expect(texts.slice(0, kept).map((text) => Number.parseInt(text, 10))).toEqual(
      Array.from({ length: kept }, (_, line) => line),
    );
    expect(texts[kept]).toBe(`${1000 - kept} lines were dropped: they came faster than they are kept`);
    expect(texts.at(-1)).toBe('after');
  });

  test('log: keeps so many lines of a flood, and all that the platform says', async () => {
    await using dir = await makeDir();
    const log = new ProgramLog(dir.path);
    const flood = Array.from({ length: 200_000 }, (_, line) => `${line}\n`).join('');
    for (let at = 0; at < flood.length; at += 16_384) log.output('stdout', flood.slice(at, at + 16_384), 0);
    log.platform('Stopping');
    const texts = await textsOf(log, 1_000_000);
    expect(texts.slice(0, 10_000)).toEqual(Array.from({ length: 10_000 }, (_, line) => `${line}`));
    expect(texts.length).toBeLessThan(30_000);
    expect(texts.filter((text) => text === 'Stopping')).toHaveLength(1);
    expect(texts.at(-1)).toMatch(/^\d+ lines were dropped/);
  });

  test('log: is bounded on disk, and its tail reaches over the cut', async () => {
    await using dir = await makeDir();
    const log = new ProgramLog(dir.path);
    for (let batch = 0; batch < 16; batch++) {
      for (let line = 0; line < 100; line++) log.output('stdout', `${batch * 100 + line} ${LINE}\n`, 0);
      await log.flushed();
    }
    const files = await readdir(dir.path);
    expect(files.sort()).toEqual(['program.ndjson', 'program.ndjson.1']);
    for (const file of files) expect((await stat(join(dir.path, file))).size).toBeLessThan(6 * 1024 * 1024);
    const numbers = (await textsOf(log, 700)).map((text) => Number.parseInt(text, 10));
    expect(numbers).toEqual(Array.from({ length: 700 }, (_, index) => 900 + index));
  });

  test('log: gives a tail and is followed without a gap or a repeat, while it is written and cut', async () => {
    await using dir = await makeDir();
    const log = new ProgramLog(dir.path);
    let next = 0;
    const add = (lines: number) => {
      for (let line = 0; line < lines; line++) log.output('stdout', `${next++} ${LINE}\n`, 0);
    };
    for (let round = 0; round < 12; round++) {
      add(40);
      const live: LogEntry[] = [];
      const follower = (entry: LogEntry) => void live.push(entry);
      const tail = log.tail(1000, follower);
      add(40);
      const seen = await tail;
      add(20);
      log.unfollow(follower);
      const numbers = [...seen, ...live].map(({ text }) => Number.parseInt(text, 10));
      expect(numbers.at(-1)).toBe(next - 1);
      expect(numbers).toEqual(numbers.map((_, index) => (numbers[0] ?? 0) + index));
      await log.flushed();
    }
  });

  test('log: answers, while a program prints without end', async () => {
    await using dir = await makeDir();
    const log = new ProgramLog(dir.path);
    const flood = { on: true };
    const printing = (async () => {
      while (flood.on) {
        log.output('stdout', `${LINE}\n`, 0);
        await stat(dir.path);
      }
    })();
    await log.flushed();
    expect((await log.tail(1)).length).toBe(1);
    flood.on = false;
    await printing;
  });

  test('log: lets a follower go that fails, and tells the others', async () => {
    await using dir = await makeDir();
    const log = new ProgramLog(dir.path);
    const told: string[] = [];
    log.follow(() => {
      told.push('bad');
      throw new Error('bad follower');
    });
    const unfollow = log.follow(({ text }) => void told.push(text));
    log.output('stdout', 'a\nb\n', 0);
    unfollow();
    log.output('stdout', 'c\n', 0);
    expect(told).toEqual(['bad', 'a', 'b']);
    expect(await textsOf(log)).toEqual(['a', 'b', 'c']);
  });

  test('log: reads on after a line that a killed process has left half', async () => {
    await using dir = await makeDir();
    const path = join(dir.path, 'program.ndjson');
    const entry = JSON.stringify({ timeMs: 1, stream: 'stdout', text: 'whole' });
    await writeFile(path, `${entry}\n${entry.slice(0, 20)}`);
    const log = new ProgramLog(dir.path);
    expect(await textsOf(log)).toEqual(['whole']);
    log.output('stdout', 'next\n', 2);
    expect(await textsOf(log)).toEqual(['whole', 'next']);
    await appendFile(path, 'garbage\n');
    expect(await textsOf(log)).toEqual(['whole', 'next']);
  });

  test('log: says what was lost once it can be written again, and fails nobody meanwhile', async () => {
    await using dir = await makeDir();
    const folder = join(dir.path, 'log');
    await writeFile(folder, 'a file where the folder should be');
    const log = new ProgramLog(folder);
    log.output('stdout', 'lost\nlost too\n', 0);
    await log.flushed();
    expect(log.writeError).toMatchObject({ code: 'EEXIST' });
    await rm(folder);
    await mkdir(folder);
    log.output('stdout', 'kept\n', 0);
    expect(await textsOf(log)).toEqual(['kept', expect.stringMatching(/^2 lines were lost: EEXIST/)]);
    expect(log.writeError).toBeUndefined();
  });

  test('log: is for its owner’s eyes only', async () => {
    await using dir = await makeDir();
    const log = new ProgramLog(join(dir.path, 'log'));
    log.platform('x');
    await log.flushed();
    expect((await stat(join(dir.path, 'log'))).mode & 0o777).toBe(0o700);
    expect((await stat(join(dir.path, 'log/program.ndjson'))).mode & 0o777).toBe(0o600);
  });
});

describe('ProgramLogs', () => {
  const HASH = 'a'.repeat(64) as ItemHash;

  test('logs: gives one log for each program, and removes it for good', async () => {
    await using dir = await makeDir();
    const logs = new ProgramLogs(dir.path);
    expect(logs.of(HASH)).toBe(logs.of(HASH));
    logs.of(HASH).platform('x');
    await logs.flushed();
    expect(await readdir(dir.path)).toEqual([HASH]);
    logs.of(HASH).platform('y');
    await logs.remove(HASH);
    expect(await readdir(dir.path)).toEqual([]);
    await logs.remove('b'.repeat(64) as ItemHash);
  });
});
