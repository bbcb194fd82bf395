import { readFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex, PassThrough } from 'node:stream';
import { encodeFrame, FrameDecoder, type GuestMessage, ProtocolError } from '@vmlet/guest-protocol';
import type { ItemHash } from '@vmlet/messages';
import { expect, test } from 'vitest';
import { clean, cleanLine } from '../../packages/cli/src/terminal-text.ts';
import { ProgramLogs } from '../../packages/node/src/executions/index.ts';
import { MachineConsole } from '../../packages/node/src/machines/console.ts';
import { ControlChannel, GuestMisbehaved } from '../../packages/node/src/machines/control/channel.ts';
import { QmpClient, QmpError } from '../../packages/node/src/machines/qmp/client.ts';
import { CParser } from './differential.ts';
import { fuzz, fuzzTimeoutMs } from './engine.ts';
import type { Random } from './random.ts';

const ROOT = join(import.meta.dirname, '../..');
const VECTORS = join(ROOT, 'packages/guest-protocol/vectors/frames.json');

interface Vector {
  parts: { hex: string; times: number }[];
}

const vectors = (JSON.parse(readFileSync(VECTORS, 'utf8')) as { vectors: Vector[] }).vectors
  .map(({ parts }) =>
    Buffer.concat(parts.flatMap(({ hex, times }) => Array<Buffer>(times).fill(Buffer.from(hex, 'hex')))),
  )
  .filter((bytes) => bytes.length > 0 && bytes.length < 4096);

/** What init0 says from its start to its end: of a program that works, and of one that does not load. */
const begin = [
  { type: 'hello', protocol: 1, version: '0.1.0', kernel: '6.1.0-37-cloud-amd64', uptimeUs: 1_234_567 },
  { type: 'mark', name: 'python', uptimeUs: 1_534_567 },
  { type: 'ready', launcher: 'python', version: '3.11.2', features: ['asgi', 'wsgi'] },
];
const log = { type: 'log', stream: 'stdout', timeUs: 1_700_000_000_000_000, text: 'hello \u001b[31mred\n' };
const sessions = [
  [
    ...begin,
    log,
    { type: 'loaded', port: 8080, interface: 'asgi', server: 'uvicorn' },
    { ...log, stream: 'stderr', text: 'INFO: "GET / HTTP/1.1" 200 OK\n' },
    { type: 'exited', role: 'launcher', code: 0, signal: null },
    { type: 'halted' },
  ],
  [
    ...begin,
    { type: 'failed', phase: 'load', code: 'MODULE_NOT_FOUND', message: 'Cannot import', detail: 'Traceback\n  x\n' },
    { type: 'exited', role: 'launcher', code: null, signal: 'SIGKILL' },
    { type: 'halted' },
  ],
].map((messages) => Buffer.concat(messages.map((message) => encodeFrame(message))));
const WORDS = [
  '{',
  '}',
  '[',
  ']',
  '"',
  '\\',
  '\\ud800',
  '\\u0000',
  '"type":"',
  'null',
  '1e999',
  '-0',
  '\u0000',
  '\xff',
];
const LENGTHS = ['\0\0\0\x01', '\0\x10\0\0', '\0\x10\0\x01', '\xff\xff\xff\xff', '\0\0\0\0'];
const dictionary = [...WORDS, ...LENGTHS, '"log"', '"loaded"', '"halted"', '"exited"', '"__proto__":{}'];

function runTypeScript(stream: Buffer, random: Random): { frames: number; error: string } {
  const decoder = new FrameDecoder();
  let frames = 0;
  try {
    for (const piece of random.cut(stream)) frames += decoder.push(piece).length;
    decoder.end();
    return { frames, error: '-' };
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { frames: frames + error.decoded.length, error: error.code };
  }
}

test(
  'frames: C and TypeScript come to the same verdict, however the stream is cut',
  async () => {
    using parser = new CParser(['test/frames.c']);
    await fuzz({
      name: 'frames',
      corpus: [...vectors, ...sessions],
      dictionary,
      maxBytes: 8192,
      run(input, random) {
        if (input.length === 0) return;
        const { frames, error } = runTypeScript(input, random);
        parser.expect(input, `${frames} ${error}`);
      },
    });
    parser.compare();
  },
  fuzzTimeoutMs('frames'),
);

test(
  'channel: takes checked messages or ends once, whatever the guest sends',
  async () => {
    await fuzz({
      name: 'channel',
      corpus: [...sessions, ...vectors],
      dictionary,
      run(input, random) {
        const heard: GuestMessage[] = [];
        const misbehaved: Error[] = [];
        const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
        const channel = new ControlChannel(stream, {
          onMessage: (message) => heard.push(message),
          onMisbehaved: (error) => misbehaved.push(error),
        });
        for (const piece of random.cut(input)) stream.emit('data', piece);
        expect(misbehaved.length).toBeLessThan(2);
        for (const error of misbehaved) expect(error).toBeInstanceOf(GuestMisbehaved);
        const known = heard.length;
        if (misbehaved.length > 0) stream.emit('data', sessions[0]);
        expect(heard.length - known).toBeLessThan(misbehaved.length > 0 ? 1 : 100);
        for (const message of heard) expect(JSON.stringify(message).length).toBeLessThan(2 * 1024 * 1024);
        channel.close();
      },
    });
  },
  fuzzTimeoutMs('channel'),
);

test(
  'logs: keep whole, bounded lines of JSON that a terminal can show, whatever a program prints',
  async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-fuzz-'));
    const logs = new ProgramLogs(dir.path);
    const programLog = logs.of('a'.repeat(64) as ItemHash);
    await fuzz({
      name: 'logs',
      corpus: [
        'a line\n',
        'two\nlines',
        '\u001b]0;title\u0007\u001b[2J',
        '\u202egnp.exe\n',
        `${'x'.repeat(20_000)}\n`,
      ].map((text) => Buffer.from(text)),
      dictionary: ['\n', '\r', '\0', '\u001b[', '\xe2\x80\xa8', '\xed\xa0\x80', '"}\n{"', '\u009b31m'],
      async run(input, random) {
        for (const piece of random.cut(input)) {
          programLog.output(random.pick(['stdout', 'stderr']), piece.toString('utf8'), random.below(2 ** 31));
        }
        if (random.below(4) === 0) programLog.platform(input.toString('latin1').slice(0, 1000));
        for (const { text, timeMs } of await programLog.tail(5)) {
          expect(text).not.toContain('\n');
          expect(text.length).toBeLessThanOrEqual(16 * 1024);
          expect(Number.isFinite(timeMs)).toBe(true);
          // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
          expect(cleanLine(text)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/);
        }
      },
    });
    await logs.flushed();
  },
  fuzzTimeoutMs('logs'),
);

test(
  'console: keeps at most its bound, and nothing that speaks to a terminal',
  async () => {
    await fuzz({
      name: 'console',
      corpus: [Buffer.from('[    0.000000] Linux version 6.1\r\n'), Buffer.from('\u001b[2J\u001b[Hgrub> ')],
      dictionary: ['\r\n', '\u001b[', '\x9b', '\0', '\u009d'],
      run(input, random) {
        const source = new PassThrough();
        const ring = new MachineConsole(source);
        for (const piece of random.cut(input)) source.emit('data', piece);
        expect(ring.tail().length).toBeLessThanOrEqual(16 * 1024);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
        expect(ring.tail()).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
        expect(clean(ring.tail())).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
      },
    });
  },
  fuzzTimeoutMs('console'),
);

test(
  'qmp: answers each command once or ends, whatever QEMU sends',
  async () => {
    const greeting =
      '{"QMP": {"version": {"qemu": {"micro": 15, "minor": 2, "major": 7}}, "capabilities": ["oob"]}}\r\n';
    const events = '{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "SHUTDOWN", "data": {"guest": true}}\r\n';
    await fuzz({
      name: 'qmp',
      corpus: [
        greeting,
        `${greeting}{"return": {}, "id": 1}\r\n${events}`,
        '{"error": {"class": "x", "desc": "y"}, "id": 2}\r\n',
      ].map((text) => Buffer.from(text)),
      dictionary: [
        '\r\n',
        '{',
        '}',
        '"id": 1',
        '"id": 2',
        '"return": {}',
        '"error"',
        '"QMP"',
        '"event"',
        '\xff',
        'null',
      ],
      async run(input, random) {
        const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
        const client = new QmpClient(stream, () => {});
        const settled: unknown[] = [];
        const note = (value: unknown) => void settled.push(value);
        const asked = [client.handshake(), client.execute('stop')].map((one) => one.then(note, note));
        for (const piece of random.cut(input)) stream.push(piece);
        stream.push(null);
        await new Promise((resolve) => {
          stream.once('close', resolve);
          stream.once('end', () => stream.destroy());
        });
        await Promise.all(asked);
        expect(settled).toHaveLength(2);
        for (const value of settled) if (value instanceof Error) expect(value).toBeInstanceOf(QmpError);
      },
    });
  },
  fuzzTimeoutMs('qmp'),
);
