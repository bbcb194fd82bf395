import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { MachineConsole, printable } from './console.ts';

test('console: keeps the last 16 KiB, however they come', () => {
  const source = new PassThrough();
  const console = new MachineConsole(source);
  for (let line = 0; line < 5000; line++) source.write(`line ${line}\r\n`);
  source.write(`${'x'.repeat(40_000)}\nend`);
  const tail = console.tail();
  expect(Buffer.byteLength(tail)).toBe(16 * 1024);
  expect(tail).toMatch(/^x+\nend$/);
});

test('console: survives an error of its source, and a character cut in two', () => {
  const source = new PassThrough();
  const console = new MachineConsole(source);
  source.write(Buffer.from('é').subarray(0, 1));
  source.write(Buffer.from('é').subarray(1));
  source.destroy(new Error('reset'));
  expect(console.tail()).toBe('é');
});

test('printable: takes out what could speak to a terminal, and keeps lines and tabs', () => {
  expect(printable('a\tb\r\nc\u001b]0;title\u0007\u009b2J\u0000\u007fd\n')).toBe('a\tb\nc]0;title2Jd');
});

test('console: waits for words that came or come, one after the other, in whatever pieces', async () => {
  const source = new PassThrough();
  const console = new MachineConsole(source);
  const { signal } = new AbortController();
  source.write('née login: again lo');
  expect(await console.until(/login: /, signal)).toBe('née login: ');
  const second = console.until(/login: /, signal);
  source.write('gin: rest');
  expect(await second).toBe('again login: ');
  expect(await console.until(/rest/, signal)).toBe('rest');
});

test('console: forgets what nobody waits for, and a wait ends with its signal', async () => {
  const source = new PassThrough();
  const console = new MachineConsole(source);
  source.write(`wanted${'x'.repeat(20_000)}`);
  const aborter = new AbortController();
  const lost = console.until(/wanted/, aborter.signal);
  aborter.abort(new Error('too late'));
  await expect(lost).rejects.toThrow('too late');
  source.destroy();
  console.write('nobody reads this');
});
