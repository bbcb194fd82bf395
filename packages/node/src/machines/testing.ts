import { chmod, mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Backend, MachineSpec } from './boot.ts';
import { bareCage } from './cage/index.ts';

const WIRE = join(import.meta.dirname, 'wire/testing.ts');
const PROTOCOL = join(import.meta.dirname, '../../../guest-protocol/src/index.ts');

/**
 * What a stand-in for QEMU does, as the body of a function. It has: `send(frame)`, `raw(bytes)`, `next(type)` (the next
 * frame of that type from the host), `say(text)` on the console, `qmp` and `wire` (their sockets), `exit(code)`, `args`, `hang()`.
 */
export type Scenario = string;

export const HELLO = `send({ type: 'hello', protocol: 1, version: '1', kernel: '6.1', uptimeUs: 1 });`;
export const READY = `${HELLO} const configure = await next('configure');
  send({ type: 'ready', launcher: 'python', version: '3', features: [] });`;
export const LOADED = `${READY} const load = await next('load');
  send({ type: 'loaded', port: 8080, interface: 'asgi', server: 'uvicorn 1' });`;
/** Sets its clock whenever it is told to. */
export const CLOCKS = `(async () => { for (;;) { await next('clock'); send({ type: 'clocked' }); } })();`;
/** Answers QMP as QEMU does. */
const QMP = `
qmp.write('{"QMP": {"version": {}, "capabilities": []}}\\r\\n');
createInterface({ input: qmp }).on('line', (line) => {
  qmp.write(JSON.stringify({ return: {}, id: JSON.parse(line).id }) + '\\r\\n');
});`;

/** Serves the wire; what is opened leads to a port of this host. */
const wireTo = (port: number) => `serveWire(wire, () => connect(${port}, '127.0.0.1'));`;

const PREAMBLE = `#!${process.execPath}
import { connect, Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { encodeFrame, FrameDecoder } from ${JSON.stringify(PROTOCOL)};
import { serveWire } from ${JSON.stringify(WIRE)};
if (process.argv[2] === '--version') {
  console.log('QEMU emulator version 7.2.0\\nCopyright');
  process.exit(0);
}
const [qmp, control, serial, wire] = [3, 4, 5, 6].map((fd) => new Socket({ fd }).on('error', () => process.exit(0)));
const args = process.argv.slice(2);
const decoder = new FrameDecoder();
const frames = [];
const waiting = [];
control.on('data', (chunk) => { frames.push(...decoder.push(chunk)); waiting.splice(0).forEach((go) => go()); });
const send = (frame) => control.write(encodeFrame(frame));
const raw = (bytes) => control.write(bytes);
const say = (text) => serial.write(text);
const hang = () => new Promise(() => {});
const exit = (code) => process.exit(code);
const next = async (type) => {
  for (;;) {
    const index = frames.findIndex((frame) => frame.type === type);
    if (index >= 0) return frames.splice(index, 1)[0];
    await new Promise((resolve) => waiting.push(resolve));
  }
};
`;

/** A folder first on PATH in which QEMU is a script. It speaks the real protocols over the descriptors it inherits. */
export async function standInForQemu(
  scenario: Scenario,
  { qmp = true, port }: { qmp?: boolean; port?: number } = {},
): Promise<AsyncDisposable> {
  const dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  const script = join(dir.path, 'qemu-system-x86_64');
  await writeFile(join(dir.path, 'package.json'), '{"type":"module"}');
  await writeFile(script, `${PREAMBLE}${qmp ? QMP : ''}${port ? wireTo(port) : ''}\n${scenario}\n`);
  await chmod(script, 0o755);
  const path = process.env.PATH;
  process.env.PATH = `${dir.path}:${path}`;
  return {
    async [Symbol.asyncDispose]() {
      process.env.PATH = path;
      await dir.remove();
    },
  };
}

export const backend: Backend = {
  kit: {
    hash: 'h',
    kernelRelease: '6',
    kernel: '/kernel',
    initramfs: '/initramfs',
    image: '/kit',
    init0: '/init0',
    tscRate: '/bin/true',
    lateFiles: '/memory.so',
  },
  accelerator: 'tcg',
  tscKhz: 2_000_000,
  namePrefix: 'vmlet-test-',
  cage: bareCage(),
};

export const spec: MachineSpec = {
  runtimeImage: '/runtime',
  codeImage: '/code',
  vcpus: 1,
  memoryMiB: 128,
  internet: false,
  hostname: 'host',
  launcher: { argv: ['/bin/launcher'], env: {} },
};

/** Whether a process is there, dead ones not yet reaped included. */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    // ESRCH: there is none.
    return false;
  }
}
