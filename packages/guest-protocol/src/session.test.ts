import { expect, test } from 'vitest';
import { encodeRecord, RecordDecoder, SESSION_LIMITS, SessionError } from './session.ts';
import { encodeCopyRequest, encodeExecRequest, withEnvironment } from './session-requests.ts';

test('records: are read as they were written, however they are cut', () => {
  const payloads = ['', 'a', 'x'.repeat(SESSION_LIMITS.recordBytes)].map((text) => Buffer.from(text));
  const stream = Buffer.concat(payloads.map((payload, index) => encodeRecord(index + 1, payload)));
  for (const chunkBytes of [1, 5, 4096, stream.length]) {
    const decoder = new RecordDecoder();
    const records = [];
    for (let at = 0; at < stream.length; at += chunkBytes)
      records.push(...decoder.push(stream.subarray(at, at + chunkBytes)));
    expect(records.map(({ type }) => type)).toEqual([1, 2, 3]);
    expect(records.map(({ payload }, index) => payload.equals(payloads[index] ?? Buffer.alloc(1)))).toEqual([
      true,
      true,
      true,
    ]);
  }
});

test('records: that are too long are refused on both sides, before they are there', () => {
  expect(() => encodeRecord(1, Buffer.alloc(SESSION_LIMITS.recordBytes + 1))).toThrow(SessionError);
  expect(() => new RecordDecoder().push(Buffer.from('01008001', 'hex'))).toThrow(/32769 bytes/);
  expect(() => new RecordDecoder().push(Buffer.from('01ffffff', 'hex'))).toThrow(SessionError);
});

test('encodeExecRequest: puts size, arguments, folder and environment in their places', () => {
  const plain = encodeExecRequest({ argv: ['ls', '-l'], env: { A: '1' }, folder: '/x' });
  expect(plain.toString('latin1')).toBe('\0\0\0\0\0\0\0\x02ls\0-l\0/x\0A=1\0');
  const shell = encodeExecRequest({ argv: [], env: {}, terminal: { rows: 24, columns: 258 } });
  expect(shell.toString('hex')).toBe('010000180102000000');
});

test('withEnvironment: puts variables before those of the request, as far as they fit in a frame', () => {
  const request = encodeExecRequest({ argv: ['ls', '-l'], env: { A: '1' }, folder: '/x' });
  const full = withEnvironment(request, { B: '2', LONG: 'x'.repeat(40_000), NUL: 'a\0b', C: '' });
  expect(full.toString('latin1')).toBe('\0\0\0\0\0\0\0\x02ls\0-l\0/x\0B=2\0C=\0A=1\0');
  const shell = encodeExecRequest({ argv: [], env: {} });
  expect(withEnvironment(shell, { B: '2' }).toString('latin1').slice(8)).toBe('\0B=2\0');
  expect(withEnvironment(request, {}).equals(request)).toBe(true);
});

test('withEnvironment: leaves alone what is no request', () => {
  for (const odd of ['', '\0\0\0', '\0\0\0\0\0\0\xff\xffls\0', '\0\0\0\0\0\0\0\x01ls\0/x']) {
    const payload = Buffer.from(odd, 'latin1');
    expect(withEnvironment(payload, { A: '1' }).equals(payload)).toBe(true);
  }
});

test('encodeCopyRequest: names a path, and for a copy to a machine the name that it gets', () => {
  expect(encodeCopyRequest({ from: '/a' }).toString('latin1')).toBe('\x01/a\0');
  expect(encodeCopyRequest({ to: '/a', name: 'b' }).toString('latin1')).toBe('\x02/a\0b\0');
});

test('requests: with a NUL, or longer than a frame, are refused', () => {
  expect(() => encodeExecRequest({ argv: ['a\0b'], env: {} })).toThrow(SessionError);
  expect(() => encodeExecRequest({ argv: ['x'.repeat(40_000)], env: {} })).toThrow(SessionError);
  expect(() => encodeCopyRequest({ from: 'x'.repeat(40_000) })).toThrow(SessionError);
});
