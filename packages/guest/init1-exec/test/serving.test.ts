import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, realpathSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { encodeFrame } from '@vmlet/guest-protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask, type Build, build, freePort, Launcher, type LauncherOptions, VARIANTS } from './harness.ts';

let built: Build;
beforeAll(() => {
  built = build();
});
afterAll(() => built[Symbol.dispose]());

describe.each(VARIANTS)('init1-exec, $name', (variant) => {
  const start = (files: LauncherOptions['files'] = {}, more: Partial<LauncherOptions> = {}) =>
    new Launcher({ variant, built, files, ...more });

  test('life: ready, loaded, halt, and the end of the program', async () => {
    await using launcher = start();
    const port = await freePort();
    await launcher.load(built.programs, port);
    expect(launcher.received).toEqual([{ type: 'ready', launcher: 'exec', version: '0.1.0', features: [] }]);
    const loaded = await launcher.until('loaded');
    expect(loaded).toEqual({ type: 'loaded', port, interface: 'executable', server: 'programs' });
    expect(await ask(port)).toEqual({
      exe: realpathSync(built.programs),
      cwd: realpathSync(launcher.folder),
      noNewPrivs: launcher.privileged ? 0 : 1,
    });
    launcher.send({ type: 'halt', graceMs: 1000 });
    expect(await launcher.end()).toEqual({ code: null, signal: 'SIGTERM', frames: ['ready', 'loaded'] });
    expect(launcher.stderr).toBe('');
  });

  test.each([
    ...['0.0.0.0', '::', '127.0.0.1', '::1', '::ffff:127.0.0.1', 'reuseport', 'thread', 'thread-alone', 'child'],
    ...['errors', 'signals', 'both-4-6', 'both-6-4', 'both-4-6-reuse', 'both-6-4-reuse'],
  ])('listening: is seen, for %s', async (mode) => {
    await using launcher = start();
    const port = await freePort();
    await launcher.load(built.programs, port, { args: [mode] });
    expect(await launcher.until('loaded')).toMatchObject({ port });
    await ask(port);
    expect(launcher.stderr).toBe('');
  });

  test('listening: is told from an address that nothing connects to', async () => {
    await using launcher = start();
    await launcher.load(built.programs, await freePort(), { args: ['127.0.0.2'] });
    await launcher.said('what is reached');
    expect(launcher.stderr).toBe(
      'init1-exec: the program listens on 127.0.0.2 only; what is reached is 127.0.0.1 and ::1\n',
    );
    launcher.send({ type: 'halt', graceMs: 0 });
    expect(await launcher.end()).toMatchObject({ frames: ['ready'] });
  });

  test.each(['i386', 'socketcall', 'mptcp'])('listening: is seen, by %s', async (mode) => {
    await using launcher = start();
    const port = await freePort();
    await launcher.load(built.programs, port, { args: [mode] });
    // A kernel may lack what the program asks for: then the program says so.
    const message = await launcher.next();
    if (message?.type === 'failed') expect(launcher.stderr).toMatch(/^(i386|socket): /);
    else await ask(port);
  });

  test('listening: is told from a Unix socket, UDP and another port', async () => {
    await using launcher = start();
    const port = await freePort();
    await launcher.load(built.programs, port, { args: ['late'] });
    await launcher.said('what is waited for is $PORT');
    await launcher.said('other ');
    const other = Number(/other (\d+)/.exec(launcher.stdout)?.[1]);
    expect(launcher.stderr).toBe(
      `init1-exec: the program listens on port ${other}; what is waited for is $PORT, ${port}\n`,
    );
    launcher.send({ type: 'halt', graceMs: 0 });
    expect(await launcher.end()).toMatchObject({ frames: ['ready'] });
  });

  test('listening: is seen when it comes after another port', async () => {
    await using launcher = start();
    const port = await freePort();
    await launcher.load(built.programs, port, { args: ['late'] });
    await launcher.said('other ');
    const client = connect(Number(/other (\d+)/.exec(launcher.stdout)?.[1]), '127.0.0.1');
    expect(await launcher.until('loaded')).toMatchObject({ port });
    await ask(port);
    client.destroy();
  });

  test('listening: is told from the same port in another network', async (context) => {
    context.skip(variant.unprivileged, 'only root makes networks');
    await using launcher = start();
    await launcher.load(built.programs, await freePort(), { args: ['apart'] });
    await launcher.said('apart');
    launcher.send({ type: 'halt', graceMs: 0 });
    expect(await launcher.end()).toMatchObject({ signal: 'SIGTERM', frames: ['ready'] });
  });

  test('script: runs, and what it executes is seen', async () => {
    await using launcher = start({ 'run.sh': `#!/bin/sh\necho started\n${built.programs} 127.0.0.1\n` });
    const port = await freePort();
    await launcher.load('run.sh', port);
    expect(await launcher.until('loaded')).toMatchObject({ server: 'run.sh' });
    await ask(port);
    expect(launcher.stdout).toBe('started\n');
  });

  test('script: of Python, by env, with "localhost" as asyncio binds it', async () => {
    const script = `#!/usr/bin/env python3
import asyncio, os
async def answer(reader, writer):
    await reader.readline()
    writer.write(b'HTTP/1.0 200 OK\\r\\n\\r\\n{"exe":"python"}')
    writer.close()
async def main():
    server = await asyncio.start_server(answer, 'localhost', int(os.environ['PORT']))
    await server.serve_forever()
asyncio.run(main())
`;
    await using launcher = start({ 'app/serve.py': script });
    const port = await freePort();
    await launcher.load('app/serve.py', port);
    expect(await launcher.until('loaded')).toMatchObject({ server: 'serve.py' });
    expect(await ask(port)).toEqual({ exe: 'python' });
  });

  test('program: gets arguments, environment, folder and descriptors as told', async () => {
    const script = `#!/usr/bin/python3
import json, os, signal, sys
print(json.dumps([sys.argv, dict(os.environ), os.getcwd(), sys.stdin.read(), sorted(os.listdir('/proc/self/fd'))[:3],
    [fd for fd in range(3, 64) if os.path.exists(f'/proc/{os.getpid()}/fd/{fd}')], os.getsid(0) == os.getpgid(0) ==
    os.getpid(), signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()]))
`;
    await using launcher = start({ 'look.py': script });
    const value = 'q"\\/\n\t é 😀 =';
    const port = await freePort();
    const variables = { A: value, VMLET: '2', EMPTY: '', PORT: '1' };
    await launcher.load('look.py', port, { args: [value, '', '-x'], variables });
    await launcher.end();
    const [argv, env, cwd, stdin, , fds, leads, unblocked] = JSON.parse(launcher.stdout);
    expect(argv).toEqual([join(launcher.folder, 'look.py'), value, '', '-x']);
    expect(env).toMatchObject({ A: value, VMLET: '2', EMPTY: '', PORT: String(port), VMLET_CODE_DIR: launcher.folder });
    expect(env).not.toHaveProperty('VMLET_CONTROL_FD');
    expect([cwd, stdin, fds, leads, unblocked]).toEqual([realpathSync(launcher.folder), '', [], true, true]);
  });

  test('x bit: is not needed, for a program, a script, and a script with Windows line ends', async () => {
    const files = {
      program: readFileSync(built.programs),
      script: `#! /bin/sh -eu\nexec ${built.programs}\n`,
      windows: `#!/usr/bin/env python3\r\nimport os\r\nos.execv("${built.programs}", ["p"])\r\n`,
    };
    for (const name of Object.keys(files)) {
      await using launcher = start(files, {
        plainFiles: variant.unprivileged ? ['script', 'windows'] : Object.keys(files),
      });
      const port = await freePort();
      await launcher.load(name, port);
      await launcher.until('loaded');
      await ask(port);
    }
  });

  test('x bit: is not needed on a read-only drive, and the program stays in its place', async (context) => {
    context.skip(variant.unprivileged, 'only root mounts');
    const files = { 'bin/program': readFileSync(built.programs) };
    await using launcher = start(files, { plainFiles: ['bin/program'], machineLike: true });
    const port = await freePort();
    await launcher.load('bin/program', port);
    await launcher.until('loaded');
    expect(await ask(port)).toMatchObject({ exe: join(launcher.folder, 'bin/program') });
  });

  test('halt: reaches the whole process group, and waits for the program', async () => {
    const script = `#!/bin/sh\ntrap 'wait; echo bye; exit 7' TERM\n${built.programs} &\nwait\n`;
    await using launcher = start({ 'run.sh': script });
    await launcher.load('run.sh', await freePort());
    await launcher.until('loaded');
    launcher.send({ type: 'halt', graceMs: 1000 });
    expect(await launcher.end()).toEqual({ code: 7, signal: null, frames: ['ready', 'loaded'] });
    expect(launcher.stdout).toBe('bye\n');
  });

  test('halt: ends the launcher, without a program', async () => {
    await using launcher = start();
    await launcher.until('ready');
    launcher.send({ type: 'halt', graceMs: 0 });
    expect(await launcher.end()).toEqual({ code: 0, signal: null, frames: ['ready'] });
  });

  test('halt: says nothing of failure, for a program that never listened', async () => {
    await using launcher = start({ 'wait.sh': '#!/bin/sh\necho up\nread line < /dev/zero\n' });
    await launcher.load('wait.sh', await freePort());
    await launcher.said('up');
    launcher.send({ type: 'halt', graceMs: 0 });
    expect(await launcher.end()).toEqual({ code: null, signal: 'SIGTERM', frames: ['ready'] });
  });

  test('channel: its end counts as halt', async () => {
    await using launcher = start();
    await launcher.load(built.programs, await freePort());
    await launcher.until('loaded');
    launcher.channel.end();
    expect(await launcher.end()).toMatchObject({ signal: 'SIGTERM' });
  });

  test('program: ends the launcher the same way at once, when it ends while serving', async () => {
    for (const [kill, end] of [
      ['kill -9 $$', { code: null, signal: 'SIGKILL' }],
      ['exit 200', { code: 200, signal: null }],
    ] as const) {
      const script = `#!/bin/sh\n${built.programs} > /dev/null 2>&1 &\nwhile [ ! -e stop ]; do :; done\n${kill}\n`;
      await using launcher = start({ 'run.sh': script });
      await launcher.load('run.sh', await freePort());
      await launcher.until('loaded');
      execFileSync('touch', [join(launcher.folder, 'stop')]);
      expect(await launcher.end()).toEqual({ ...end, frames: ['ready', 'loaded'] });
    }
  });

  test('frames: may come in pieces, and of unknown types', async () => {
    await using launcher = start();
    await launcher.until('ready');
    launcher.send({ type: 'colour' });
    const port = await freePort();
    const load = { type: 'load', entrypoint: built.programs, port, variables: { A: 'x'.repeat(100_000) } };
    const frame = encodeFrame(load);
    for (let at = 0; at < frame.length; at += 30_000) {
      if (!launcher.channel.write(frame.subarray(at, at + 30_000))) await once(launcher.channel, 'drain');
    }
    await launcher.until('loaded');
    await ask(port);
  });

  test('cost: no CPU and little memory, while the program serves', async () => {
    await using launcher = start();
    const port = await freePort();
    await launcher.load(built.programs, port);
    await launcher.until('loaded');
    for (let i = 0; i < 50; i += 1) await ask(port);
    const status = readFileSync(`/proc/${launcher.pid}/status`, 'utf8');
    const [, switches] = /\nvoluntary_ctxt_switches:\s+(\d+)/.exec(status) ?? [];
    expect(Number(switches)).toBeLessThan(30);
    if (variant.build === 'plain') expect(Number(/\nVmRSS:\s+(\d+)/.exec(status)?.[1])).toBeLessThan(2048);
  });
});
