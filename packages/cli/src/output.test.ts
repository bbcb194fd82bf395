import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import { CliError } from './errors.ts';
import { failureOf } from './failure.ts';
import { Output } from './output.ts';
import { ProgressBar } from './progress-bar.ts';
import { memoryStream } from './testing.ts';

function output(options: { json?: boolean; color?: boolean; isTTY?: boolean; columns?: number } = {}) {
  const { json = false, color = true, isTTY = false, columns = 80 } = options;
  const stdout = memoryStream({ isTTY });
  const stderr = memoryStream({ isTTY, columns });
  return { stdout, stderr, output: new Output({ stdout, stderr, json, color }) };
}

const failure = failureOf(new CliError('NODE_NOT_RUNNING', { operands: { home: '/h' }, detail: 'a\n\u001b[2Jb' }));

describe('Output', () => {
  test('Output: keeps stdout to the answer, when there is more to say', () => {
    const { stdout, stderr, output: out } = output();
    out.step('Packing', 'detail');
    out.step('Packing', 'other detail');
    out.note('Left out: x');
    out.warn('careful');
    out.line('http://127.0.0.1/');
    expect(stdout.text).toBe('http://127.0.0.1/\n');
    expect(stderr.text).toBe('Packing\nLeft out: x\nwarning: careful\n');
  });

  test('Output: tells a failure in one voice, when people read', () => {
    const { stderr, output: out } = output();
    out.failure(failure);
    expect(stderr.text).toBe(
      '  | a\n  | [2Jb\nerror: Cannot find a node: no "node.json" in "/h", expected a running node\n' +
        '  next: Start one in another terminal with: vmlet up, or name one with --node URL\n',
    );
  });

  test('Output: ends stderr with the failure as JSON, when machines read', () => {
    const { stdout, stderr, output: out } = output({ json: true, isTTY: true });
    out.step('Packing');
    out.failure(failure);
    const last = stderr.text.trimEnd().split('\n').at(-1);
    expect(JSON.parse(last ?? '')).toEqual({
      error: { ...failure, code: 'NODE_NOT_RUNNING', phase: 'connect', exitCode: 6, detail: 'a\n\u001b[2Jb' },
    });
    expect(stdout.text).toBe('');
    expect(stderr.text).not.toContain('\u001b');
  });

  test('Output: draws one line again and again, when stderr is a terminal', () => {
    const { stderr, output: out } = output({ isTTY: true, columns: 20 });
    out.step('Packing', 'a detail that is much too long');
    out.step('Packing', 'two\nlines');
    out.line('done');
    const drawn = stderr.text.split('\r\u001b[2K').map((part) => stripVTControlCharacters(part));
    expect(drawn.every((part) => part.trimEnd().length < 20)).toBe(true);
    expect(drawn.at(-1)).toBe('Packing\n');
    expect(stderr.text.split('\n')).toHaveLength(2);
  });

  test('Output: uses colours on terminals only, when they are wanted', () => {
    expect(output({ isTTY: true }).output.colors.red('x')).toBe('\u001b[31mx\u001b[39m');
    for (const plain of [output(), output({ isTTY: true, color: false }), output({ isTTY: true, json: true })]) {
      expect(plain.output.colors.red('x')).toBe('x');
    }
  });

  test('screen: takes the place of what was there on a terminal, and follows it elsewhere', () => {
    for (const isTTY of [true, false]) {
      const stdout = memoryStream({ isTTY });
      const output = new Output({ stdout, stderr: memoryStream(), json: false, color: false });
      output.screen(['a', 'b'], { isFirst: true });
      output.screen(['c'], { isFirst: false });
      expect(stdout.text).toBe(isTTY ? '\u001b[H\u001b[Ja\nb\n\u001b[H\u001b[Jc\n' : 'a\nb\n\nc\n');
    }
  });

  test('ProgressBar: shows how far bytes have come on a terminal, once a percent, and one line elsewhere', () => {
    const terminal = output({ isTTY: true, color: false });
    const bar = new ProgressBar(terminal.output, { step: 'Uploading', totalBytes: 2_000_000 });
    for (let sent = 0; sent < 1_000_000; sent += 1000) bar.add(1000);
    expect(terminal.stderr.text.split('\r')).toHaveLength(53);
    expect(terminal.stderr.text).toContain('[##########----------] 50 %, 1.0 MB of 2.0 MB');
    const plain = output();
    new ProgressBar(plain.output, { step: 'Fetching', totalBytes: undefined }).add(5_000_000);
    expect(plain.stderr.text).toBe('Fetching\n');
  });
});
