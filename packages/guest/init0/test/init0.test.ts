import { encodeFrame, type GuestMessage } from '@vmlet/guest-protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Build, build, configureMessage, Init0, pythonLauncher } from './harness.ts';

let built: Build;
beforeAll(() => {
  built = build();
});
afterAll(() => built[Symbol.dispose]());

const load = {
  type: 'load',
  code: null,
  entrypoint: 'main:app',
  interface: 'asgi',
  variables: {},
  port: 8080,
} as const;
const typesOf = (messages: readonly GuestMessage[]) => messages.map((message) => message.type);

describe.each(['plain', 'sanitized'] as const)('init0, %s build', (kind) => {
  const start = () => new Init0(built[kind]);

  test('life: hello, ready, loaded, exited, halted, for a launcher that speaks the protocol', async () => {
    await using init0 = start();
    await init0.configure(
      pythonLauncher(`
ready()
message = receive()
send({"type": "loaded", "port": message["port"], "interface": "asgi", "server": "test 1"})
assert receive()["type"] == "halt"
sys.exit(5)`),
    );
    expect(await init0.until('ready')).toMatchObject({ launcher: 'test', version: '1' });
    init0.send(load);
    expect(await init0.until('loaded')).toMatchObject({ port: 8080, server: 'test 1' });
    expect(await init0.halt(10_000)).toBe(0);
    expect(typesOf(init0.received)).toEqual(['hello', 'ready', 'loaded', 'exited', 'halted']);
    expect(init0.received.at(-2)).toEqual({ type: 'exited', role: 'launcher', code: 5, signal: null });
    expect(init0.stderr).toBe('');
  });

  test('hello: names protocol, version, kernel and uptime', async () => {
    await using init0 = start();
    const hello = await init0.until('hello');
    expect(hello).toMatchObject({ protocol: 1, version: '0.1.0' });
    expect(hello.uptimeUs).toBeGreaterThan(0);
    expect(await init0.halt(0)).toBe(0);
  });

  test('launcher: gets argv, env and descriptors as told, escapes and all', async () => {
    await using init0 = start();
    const value = 'q"\\/\b\f\n\r\t \u0001 é € 😀 =';
    const script = `
print(json.dumps([sys.argv[1:], os.environ["A"], os.environ["VMLET_CONTROL_FD"], sys.stdin.read(),
    os.getsid(0) == os.getpid(), signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()]))`;
    await init0.configure([...pythonLauncher(script), value, ''], { A: value, LC_ALL: 'C.UTF-8' });
    await init0.until('exited');
    expect(JSON.parse(init0.log('stdout'))).toEqual([[value, ''], value, '3', '', true, true]);
  });

  test('launcher: has four open descriptors and the environment as told, no more', async () => {
    await using init0 = start();
    const fds = Array.from({ length: 64 }, (_, fd) => fd).join(' ');
    const script = `for fd in ${fds}; do [ -e /proc/$$/fd/$fd ] && echo -n "$fd "; done; tr "\\0" " " < /proc/$$/environ`;
    await init0.configure(['/bin/sh', '-c', script], { PATH: '/usr/bin:/bin', EMPTY: '' });
    await init0.until('exited');
    expect(init0.log('stdout')).toBe('0 1 2 3 PATH=/usr/bin:/bin EMPTY= VMLET_CONTROL_FD=3 ');
  });

  test('load: is passed on byte for byte', async () => {
    await using init0 = start();
    await init0.configure(pythonLauncher('ready()\nprint(take(struct.unpack(">I", take(4))[0]).hex())'));
    await init0.until('ready');
    const frame = Buffer.from('{ "type":"load" ,"code":null,"unknown":[1e3,"\\u00e9é"]}');
    init0.port.write(Buffer.concat([Buffer.from([0, 0, 0, frame.length]), frame]));
    await init0.until('exited');
    expect(init0.log('stdout').trim()).toBe(frame.toString('hex'));
  });

  test('load: takes the longest frame, cut anywhere', async () => {
    await using init0 = start();
    await init0.configure(pythonLauncher('ready()\nprint(len(receive()["variables"]["A"]))'));
    await init0.until('ready');
    const room = 1_048_576 - (encodeFrame({ ...load, variables: { A: '' } }).length - 4);
    const frame = encodeFrame({ ...load, variables: { A: 'x'.repeat(room) } });
    for (const [from, to] of [
      [0, 2],
      [2, 5],
      [5, 70_000],
      [70_000, frame.length],
    ])
      init0.port.write(frame.subarray(from, to));
    await init0.until('exited');
    expect(init0.log('stdout').trim()).toBe(String(room));
  });

  test('load: fails and leaves the machine alive, after the launcher has exited', async () => {
    await using init0 = start();
    await init0.configure(['true']);
    await init0.until('exited');
    init0.send(load);
    expect(await init0.until('failed')).toMatchObject({ phase: 'load', code: 'LAUNCHER_GONE' });
    expect(await init0.halt(0)).toBe(0);
  });

  test('log: holds a cut character back, and replaces what is not UTF-8', async () => {
    await using init0 = start();
    await init0.configure(
      pythonLauncher(`
ready()
os.write(1, b"a\\xe2\\x82")
receive()
os.write(1, b"\\xac|\\xff|\\xed\\xa0\\x80|\\x00\\x1b\\"|\\xf0\\x9f")`),
    );
    const first = await init0.until('log');
    expect(first.text).toBe('a');
    init0.send(load);
    await init0.until('exited');
    await init0.halt(0);
    expect(init0.log('stdout')).toBe('a€|\ufffd|\ufffd\ufffd\ufffd|\0\u001b"|\ufffd');
  });

  test('log: passes 4 MiB on whole and in order, on both streams, with `exited` after it', async () => {
    await using init0 = start();
    const script = 'for i in range(40000):\n  os.write(1 + i % 2, b"%07d " % i + b"x" * 100 + b"\\n")';
    await init0.configure(pythonLauncher(script));
    await init0.until('exited');
    for (const [stream, parity] of [
      ['stdout', 0],
      ['stderr', 1],
    ] as const) {
      const numbers = init0
        .log(stream)
        .trim()
        .split('\n')
        .map((line) => Number(line.slice(0, 7)));
      expect(numbers).toEqual(Array.from({ length: 20_000 }, (_, index) => 2 * index + parity));
    }
    expect(await init0.halt(0)).toBe(0);
  });

  test('exited: follows what the launcher had written, while a child holds its output open', async () => {
    await using init0 = start();
    await init0.configure(['sh', '-c', 'sleep 1000 & head -c 60000 /dev/zero | tr "\\0" x; exit 4']);
    expect(await init0.until('exited')).toMatchObject({ code: 4 });
    expect(init0.log('stdout')).toBe('x'.repeat(60_000));
    expect(await init0.halt(10_000)).toBe(0);
  });

  test.each([
    ['127, for a file that is not there', ['/nonexistent/launcher'], 127, 'No such file or directory'],
    ['127, for a name that is not on PATH', ['no-such-launcher'], 127, 'No such file or directory'],
    ['126, for a file that cannot be executed', ['/etc/passwd'], 126, 'Permission denied'],
    ['126, for a folder', ['/'], 126, 'Permission denied'],
  ])('launcher: failed and exited %s', async (_, argv, code, text) => {
    await using init0 = start();
    await init0.configure(argv);
    const failed = await init0.until('failed');
    expect(failed).toMatchObject({
      phase: 'ready',
      code: 'EXEC_FAILED',
      message: `Cannot start "${argv[0]}": ${text}`,
    });
    expect(failed.detail).toMatch(/^E[A-Z]+: /);
    expect(await init0.until('exited')).toMatchObject({ code, signal: null });
    expect(await init0.halt(0)).toBe(0);
  });

  test.each([
    ['SIGKILL', 9],
    ['SIGSEGV', 11],
    ['SIGTERM', 15],
    ['SIGRTMIN+1', 35],
  ])('exited: says %s in words', async (signal, number) => {
    await using init0 = start();
    await init0.configure(['sh', '-c', `kill -${number} $$`]);
    expect(await init0.until('exited')).toEqual({ type: 'exited', role: 'launcher', code: null, signal });
  });

  test('reaping: no orphan stays a zombie', async () => {
    await using init0 = start();
    // Ends when the last orphan is out of the process table, and not before: its process ID is free then.
    await init0.configure(
      pythonLauncher(`
reader, writer = os.pipe()
for i in range(50):
    if os.fork() == 0:
        if os.fork() == 0: os.write(writer, struct.pack("i", os.getpid()))
        os._exit(0)
    os.wait()
orphans = [struct.unpack("i", os.read(reader, 4))[0] for i in range(50)]
for orphan in orphans:
    while os.path.exists(f"/proc/{orphan}"): os.sched_yield()
print(len(orphans))`),
    );
    await init0.until('exited');
    expect(init0.log('stdout').trim()).toBe('50');
    expect(await init0.halt(0)).toBe(0);
  });

  test('halt: ends a launcher without protocol by SIGTERM, and then what it left', async () => {
    await using init0 = start();
    await init0.configure(['sh', '-c', 'trap "echo bye; exit 3" TERM; setsid sh -c "echo up; exec sleep 1000" & wait']);
    await init0.until('log');
    expect(await init0.halt(60_000)).toBe(0);
    expect(init0.log('stdout')).toBe('up\nbye\n');
    expect(init0.received.at(-2)).toMatchObject({ type: 'exited', code: 3 });
  });

  test('halt: kills what ignores SIGTERM when the grace is over', async () => {
    await using init0 = start();
    await init0.configure(['sh', '-c', 'trap "" TERM; echo up; while true; do sleep 1000; done']);
    await init0.until('log');
    expect(await init0.halt(50)).toBe(0);
    expect(init0.received.at(-2)).toMatchObject({ type: 'exited', signal: 'SIGKILL' });
  });

  test('halt: kills at once without grace, and without a launcher just ends', async () => {
    await using running = start();
    await running.configure(['sleep', '1000']);
    expect(await running.halt(0)).toBe(0);
    expect(running.received.at(-2)).toMatchObject({ type: 'exited', signal: 'SIGKILL' });
    await using bare = start();
    expect(await bare.halt(60_000)).toBe(0);
    expect(typesOf(bare.received)).toEqual(['hello', 'halted']);
  });

  test.each<[string, object]>([
    ['hostname', { hostname: '' }],
    ['hostname', { hostname: 'x'.repeat(64) }],
    ['hostname', { hostname: 'a\0b' }],
    ['machineId', { machineId: 5 }],
    ['clock.sec', { clock: { nsec: 0 } }],
    ['clock.nsec', { clock: { sec: 1, nsec: 1e9 } }],
    ['clock.nsec', { clock: { sec: 1, nsec: 1.5 } }],
    ['entropy', { entropy: 'ab'.repeat(31) }],
    ['entropy', { entropy: 'xy'.repeat(32) }],
    ['network.prefix', { network: { address: '10.0.2.15', prefix: 33, gateway: '10.0.2.2', dns: [] } }],
    [
      'network.dns[]',
      { network: { address: '10.0.2.15', prefix: 24, gateway: '10.0.2.2', dns: Array(4).fill('1.1.1.1') } },
    ],
    ['launcher.argv[]', { launcher: { argv: [], env: {} } }],
    ['launcher.argv[]', { launcher: { argv: Array(65).fill('a'), env: {} } }],
    ['launcher.argv[]', { launcher: { argv: ['a\0b'], env: {} } }],
    ['launcher.env{}', { launcher: { argv: ['true'], env: { A: 1 } } }],
  ])('configure: fails and powers off, for a bad "%s"', async (path, change) => {
    await using init0 = start();
    await init0.until('hello');
    init0.port.write(encodeFrame({ ...configureMessage(['true']), ...change }));
    const failed = await init0.until('failed');
    expect(failed).toMatchObject({ phase: 'configure', code: 'FIELD_INVALID' });
    expect(failed.message).toContain(`Cannot read "${path}"`);
    await init0.until('halted');
    expect(await init0.exitCode()).toBe(0);
  });

  test('order: a message out of turn is refused and changes nothing', async () => {
    await using init0 = start();
    await init0.until('hello');
    init0.send(load);
    expect(await init0.until('failed')).toMatchObject({ phase: 'configure', code: 'MESSAGE_UNEXPECTED' });
    init0.port.write(encodeFrame({ type: '' }));
    expect(await init0.until('failed')).toMatchObject({ code: 'MESSAGE_UNEXPECTED' });
    init0.send(configureMessage(['sleep', '1000']));
    init0.send(configureMessage(['true']));
    expect(await init0.until('failed')).toMatchObject({ phase: 'ready', code: 'MESSAGE_UNEXPECTED' });
    expect(await init0.halt(0)).toBe(0);
  });

  test.each([
    ['length 0', '00000000', 'FRAME_EMPTY'],
    ['no JSON', '000000017b', 'FRAME_NOT_JSON'],
    ['a length over the limit', '7fffffff', 'FRAME_TOO_LONG'],
  ])('launcher: its channel is closed after %s, and it goes on', async (_, hex, code) => {
    await using init0 = start();
    await init0.configure(pythonLauncher(`os.write(3, bytes.fromhex("${hex}"))\ntry: receive()\nfinally: os._exit(6)`));
    expect(await init0.until('failed')).toMatchObject({ phase: 'ready', code });
    expect(await init0.until('exited')).toMatchObject({ code: 6 });
    expect(await init0.halt(0)).toBe(0);
  });

  test('launcher: cannot speak for init0', async () => {
    await using init0 = start();
    await init0.configure(pythonLauncher('send({"type": "halted"})\nready()\nreceive()'));
    expect(await init0.until('failed')).toMatchObject({ code: 'MESSAGE_UNEXPECTED' });
    await init0.until('ready');
    expect(await init0.halt(0)).toBe(0);
  });
});

test('exited: carries every exit code', async () => {
  const codes = Array.from({ length: 256 }, (_, code) => code);
  const oneByOne = async (from: number) => {
    for (const code of codes.filter((item) => item % 4 === from)) {
      await using init0 = new Init0(built.plain);
      await init0.configure(['sh', '-c', `exit ${code}`]);
      expect(await init0.until('exited')).toMatchObject({ code, signal: null });
    }
  };
  await Promise.all([0, 1, 2, 3].map(oneByOne));
});
