import { mkdir, mkdtempDisposable, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { COPY, encodeRecord, FROM_COMMAND, RecordDecoder, TO_COMMAND } from '@vmlet/guest-protocol/session';
import {
  type ExecRequest,
  encodeCopyRequest,
  encodeExecRequest,
  encodeSize,
} from '@vmlet/guest-protocol/session-requests';
import { WIRE_KINDS, WIRE_TYPES } from '@vmlet/guest-protocol/wire';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Guest } from './guest.ts';
import { type Build, build } from './harness.ts';

let built: Build;
beforeAll(() => {
  built = build();
});
afterAll(() => built[Symbol.dispose]());

/** Opens a session on stream 1. */
async function open(kind: number, payload: Buffer): Promise<Guest> {
  const guest = new Guest(built.wire);
  guest.say(WIRE_TYPES.OPEN, { argument: kind, payload });
  return guest;
}

const command = (request: Partial<ExecRequest>) =>
  open(WIRE_KINDS.EXEC, encodeExecRequest({ argv: [], env: {}, ...request }));

/** What a command says until it ends, and how it ended. */
async function outputOf(guest: Guest, see: (text: string) => void = () => {}) {
  const decoder = new RecordDecoder();
  const said = { stdout: '', stderr: '', end: [] as number[] };
  for (let over = false; !over; ) {
    const frame = await guest.next();
    over = frame.type === WIRE_TYPES.END || frame.type === WIRE_TYPES.RESET;
    guest.giveBack(frame);
    for (const { type, payload } of frame.type === WIRE_TYPES.DATA ? decoder.push(frame.payload) : []) {
      if (type === FROM_COMMAND.STDOUT) said.stdout += payload;
      if (type === FROM_COMMAND.STDERR) said.stderr += payload;
      if (type === FROM_COMMAND.EXIT) said.end = [...payload];
      see(said.stdout);
    }
  }
  return said;
}

const stdin = (text: string) => encodeRecord(TO_COMMAND.STDIN, Buffer.from(text));
const END_OF_INPUT = encodeRecord(TO_COMMAND.STDIN);

describe('exec', () => {
  test('exec: gives output apart, and the exit status or the signal', async () => {
    await using one = await command({ argv: ['sh', '-c', 'echo out; echo err >&2; exit 9'] });
    expect(await outputOf(one)).toEqual({ stdout: 'out\n', stderr: 'err\n', end: [0, 9] });
    await using two = await command({ argv: ['sh', '-c', 'kill -9 $$'] });
    expect((await outputOf(two)).end).toEqual([1, 9]);
  });

  test('exec: runs in a session of its own, with the environment and folder as told', async () => {
    const script = 'echo "$PWD $A"; [ "$(cut -d" " -f6 /proc/$$/stat)" = $$ ] && echo leads; ls /proc/self/fd | wc -l';
    await using guest = await command({ argv: ['sh', '-c', script], folder: '/tmp', env: { A: 'b=c' } });
    // The three, and that of ls.
    expect((await outputOf(guest)).stdout).toBe('/tmp b=c\nleads\n4\n');
  });

  test('exec: feeds the command, more than it takes at once, and tells it the end', async () => {
    await using guest = await command({ argv: ['sh', '-c', 'wc -c'] });
    const part = stdin('x'.repeat(30_000));
    for (let index = 0; index < 4; index += 1) guest.say(WIRE_TYPES.DATA, { payload: part });
    guest.say(WIRE_TYPES.DATA, { payload: END_OF_INPUT });
    expect(await outputOf(guest)).toMatchObject({ stdout: '120000\n', end: [0, 0] });
  });

  test('exec: gives a terminal, with its size, keys and signals', async () => {
    const argv = ['sh', '-c', 'stty size; tty; read line; echo "got $line"; stty size; read more; echo over'];
    await using guest = await command({ argv, terminal: { rows: 7, columns: 77 } });
    let step = 0;
    const { stdout, end } = await outputOf(guest, (text) => {
      if (step === 0 && text.includes('/dev/pts/')) {
        step = 1;
        guest.say(WIRE_TYPES.DATA, { payload: encodeRecord(TO_COMMAND.RESIZE, encodeSize({ rows: 8, columns: 88 })) });
        guest.say(WIRE_TYPES.DATA, { payload: stdin('line\n') });
      }
      if (step === 1 && text.includes('8 88')) {
        step = 2;
        guest.say(WIRE_TYPES.DATA, { payload: END_OF_INPUT });
      }
    });
    expect(stdout).toMatch(/^7 77\r\n\/dev\/pts\/\d+\r\nline\r\ngot line\r\n8 88\r\n.*over\r\n$/s);
    expect(end).toEqual([0, 0]);
  });

  test('exec: passes signals on to the command and all of its group', async () => {
    await using guest = await command({
      argv: ['sh', '-c', 'trap "echo told; exit 4" TERM; echo up; sleep 100 & wait'],
    });
    let told = false;
    const said = await outputOf(guest, (text) => {
      if (told || !text.includes('up')) return;
      told = true;
      guest.say(WIRE_TYPES.DATA, { payload: encodeRecord(TO_COMMAND.SIGNAL, Buffer.from([15])) });
    });
    expect(said).toMatchObject({ stdout: 'up\ntold\n', end: [0, 4] });
  });

  test.each([
    ['which is told', 'trap "echo hung up > OUT; exit" HUP; echo $$; while :; do sleep 0.05; done'],
    ['which does not care', 'trap "" HUP TERM; echo $$; while :; do sleep 0.05; done'],
  ])('exec: ends a command, %s, when its stream is broken off', async (_name, script) => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
    await using guest = await command({ argv: ['sh', '-c', script.replace('OUT', join(dir.path, 'out'))] });
    let text = '';
    for (const decoder = new RecordDecoder(); !text.includes('\n'); ) {
      const frame = await guest.next();
      if (frame.type === WIRE_TYPES.DATA)
        text += decoder
          .push(frame.payload)
          .map(({ payload }) => payload)
          .join('');
    }
    const pid = Number(text);
    guest.say(WIRE_TYPES.RESET);
    // Nothing tells of the end of a process that is nobody's child here.
    await expect.poll(() => isAlive(pid), { timeout: 20_000 }).toBe(false);
    if (!script.startsWith('trap ""')) expect(await readFile(join(dir.path, 'out'), 'utf8')).toBe('hung up\n');
  });

  test('exec: says why a command cannot be run, and refuses what is no request', async () => {
    await using missing = await command({ argv: ['/no/such'] });
    expect(await outputOf(missing)).toMatchObject({
      stderr: 'Cannot run "/no/such": No such file or directory\n',
      end: [0, 127],
    });
    await using forbidden = await command({ argv: ['/etc/passwd'] });
    expect((await outputOf(forbidden)).end).toEqual([0, 126]);
    for (const payload of ['', '00', '0000000000000001', '000000000000000100', '020000000000000000']) {
      await using guest = await open(WIRE_KINDS.EXEC, Buffer.from(payload, 'hex'));
      expect(await guest.next()).toMatchObject({ type: WIRE_TYPES.REFUSED, argument: 22 });
    }
  });
});

describe('copy', () => {
  const records = async (guest: Guest) => {
    const decoder = new RecordDecoder();
    const found: [number, string][] = [];
    for (;;) {
      const frame = await guest.next();
      guest.giveBack(frame);
      if (frame.type === WIRE_TYPES.END) return found;
      if (frame.type !== WIRE_TYPES.DATA) continue;
      for (const { type, payload } of decoder.push(frame.payload)) {
        found.push([type, type === COPY.DATA ? String(payload.length) : payload.toString('latin1')]);
      }
    }
  };

  test('copy: sends a folder with all that is in it, but what is made up or no file', async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
    await mkdir(join(dir.path, 'sub'), { mode: 0o750 });
    await writeFile(join(dir.path, 'sub/file'), 'x'.repeat(40_000), { mode: 0o640 });
    await symlink('../else', join(dir.path, 'sub/link'));
    await symlink('/proc', join(dir.path, 'proc'));
    await using guest = await open(WIRE_KINDS.COPY, encodeCopyRequest({ from: dir.path }));
    const found = await records(guest);
    expect(found).toContainEqual([COPY.FOLDER, '\x01\xc0']);
    expect(found).toContainEqual([COPY.FOLDER, '\x01\xe8sub']);
    expect(found).toContainEqual([COPY.FILE, '\x01\xa0sub/file']);
    expect(found).toContainEqual([COPY.LINK, '\0\0sub/link\0../else']);
    expect(found).toContainEqual([COPY.LINK, '\0\0proc\0/proc']);
    expect(found.filter(([type]) => type === COPY.DATA)).toEqual([
      [COPY.DATA, '32768'],
      [COPY.DATA, '7232'],
    ]);
    expect(found.at(-1)).toEqual([COPY.DONE, '']);
  });

  test('copy: writes what it is sent, into a folder that is there or under the path', async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
    const all = [
      encodeRecord(COPY.FOLDER, Buffer.from('\x01\xc0', 'latin1')),
      encodeRecord(COPY.FILE, Buffer.from('\x01\xeda', 'latin1')),
      encodeRecord(COPY.DATA, Buffer.from('one ')),
      encodeRecord(COPY.DATA, Buffer.from('two')),
      encodeRecord(COPY.LINK, Buffer.from('\0\0l\0a', 'latin1')),
      encodeRecord(COPY.DONE),
    ];
    for (const to of [dir.path, join(dir.path, 'other')]) {
      await using guest = await open(WIRE_KINDS.COPY, encodeCopyRequest({ to, name: 'name' }));
      for (const payload of all) guest.say(WIRE_TYPES.DATA, { payload });
      expect(await records(guest)).toEqual([[COPY.DONE, '']]);
    }
    for (const name of ['name', 'other']) {
      expect(await readFile(join(dir.path, name, 'a'), 'utf8')).toBe('one two');
      expect((await stat(join(dir.path, name, 'a'))).mode & 0o777).toBe(0o755);
      expect(await readlink(join(dir.path, name, 'l'))).toBe('a');
    }
  });

  test('copy: says what cannot be read or written', async () => {
    await using read = await open(WIRE_KINDS.COPY, encodeCopyRequest({ from: '/no/such' }));
    expect(await records(read)).toEqual([[COPY.FAILED, '\x02/no/such']]);
    await using write = await open(WIRE_KINDS.COPY, encodeCopyRequest({ to: '/proc/no', name: 'x' }));
    write.say(WIRE_TYPES.DATA, { payload: encodeRecord(COPY.FILE, Buffer.from('\x01\xed', 'latin1')) });
    expect(await records(write)).toEqual([[COPY.FAILED, '\x02/proc/no']]);
    for (const payload of ['', '00', '0300', '0100', '022f00', `01${'61'.repeat(4000)}00`]) {
      await using guest = await open(WIRE_KINDS.COPY, Buffer.from(payload, 'hex'));
      expect((await guest.next()).type).toBe(WIRE_TYPES.REFUSED);
    }
  });
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    // ESRCH: there is none.
    return false;
  }
}
