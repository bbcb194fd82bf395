import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { ConsoleRing, printable } from './console.ts';

test('console: keeps the last 16 KiB, however they come', () => {
  const source = new PassThrough();
  const console = new ConsoleRing(source);
  for (let line = 0; line < 5000; line++) source.write(`line ${line}\r\n`);
  source.write(`${'x'.repeat(40_000)}\nend`);
  const tail = console.tail();
  expect(Buffer.byteLength(tail)).toBe(16 * 1024);
  expect(tail).toMatch(/^x+\nend$/);
});

test('console: survives an error of its source, and a character cut in two', () => {
  const source = new PassThrough();
  const console = new ConsoleRing(source);
  source.write(Buffer.from('é').subarray(0, 1));
  source.write(Buffer.from('é').subarray(1));
  source.destroy(new Error('reset'));
  expect(console.tail()).toBe('é');
});

test('printable: takes out what could speak to a terminal, and keeps lines and tabs', () => {
  expect(printable('a\tb\r\nc\u001b]0;title\u0007\u009b2J\u0000\u007fd\n')).toBe('a\tb\nc]0;title2Jd');
});
