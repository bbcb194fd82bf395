import { encodeWireFrame, WIRE_KINDS, WIRE_TYPES, WireDecoder } from '@vmlet/guest-protocol/wire';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Build, build, Init0, pythonLauncher } from './harness.ts';

let built: Build;
beforeAll(() => {
  built = build();
});
afterAll(() => built[Symbol.dispose]());

describe.each(['plain', 'sanitized'] as const)('init0, %s build', (kind) => {
  test('wire: carries streams to the launcher, its last words after its end too', async () => {
    await using init0 = new Init0(built[kind]);
    await init0.configure(
      pythonLauncher(`
import socket
server = socket.create_server(("127.0.0.1", 0))
ready()
print(server.getsockname()[1], flush=True)
peer = server.accept()[0]
receive()
peer.sendall(peer.recv(100) + b"!")`),
    );
    const heard = init0.wire.toArray();
    const payload = Buffer.alloc(2);
    payload.writeUInt16BE(Number((await init0.until('log')).text));
    init0.wire.write(encodeWireFrame({ type: WIRE_TYPES.OPEN, argument: WIRE_KINDS.TCP, stream: 1, payload }));
    init0.wire.write(encodeWireFrame({ type: WIRE_TYPES.DATA, argument: 0, stream: 1, payload: Buffer.from('hello') }));
    expect(await init0.halt(20_000)).toBe(0);
    const frames = new WireDecoder().push(Buffer.concat(await heard));
    expect(frames.map((frame) => [frame.type, frame.payload.toString()])).toEqual([
      [WIRE_TYPES.OPENED, ''],
      [WIRE_TYPES.DATA, 'hello!'],
      [WIRE_TYPES.END, ''],
    ]);
  });

  test('wire: ends the machine with words, when its process is killed', async () => {
    await using init0 = new Init0(built[kind]);
    await init0.configure(
      pythonLauncher(`
ready()
for process in filter(str.isdigit, os.listdir("/proc")):
    if open(f"/proc/{process}/comm").read().strip() == "wire": os.kill(int(process), signal.SIGKILL)
signal.pause()`),
    );
    expect(await init0.until('failed')).toMatchObject({
      code: 'WIRE_FAILED',
      message: expect.stringMatching(/^Cannot carry requests: the wire ended with status 0x0?9, expected it to run$/),
    });
    expect(await init0.exitCode()).toBe(0);
    expect(init0.received.at(-1)).toEqual({ type: 'halted' });
  });
});
