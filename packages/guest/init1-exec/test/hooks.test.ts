import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Build, build, freePort, Launcher, type Message, VARIANTS } from './harness.ts';

let built: Build;
beforeAll(() => {
  built = build();
});
afterAll(() => built[Symbol.dispose]());

/** Notes what it is asked for, and tells at GET /calls. `/listen` makes it listen anew before it answers. */
const SERVER = `#!/usr/bin/env python3
import http.server, json, os, signal, socket
calls = []
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        body = self.rfile.read(int(self.headers.get('content-length', 0))).decode()
        if self.path == '/calls':
            return self.send(json.dumps(calls))
        if self.path == '/listen':
            with socket.create_server(('127.0.0.1', 0)): pass
        is_own = self.headers.get('x-vmlet-hook-token') == os.environ.get('VMLET_HOOK_TOKEN')
        calls.append([self.command, self.path, body, is_own])
        if self.path == '/cut':
            return self.connection.close()
        self.send('x' * 10000, int(self.path[1:]) if self.path[1:].isdigit() else 200)
    def send(self, text, status=200):
        self.send_response(status)
        self.send_header('content-length', len(text))
        self.end_headers()
        self.wfile.write(text.encode())
    do_GET = do_POST = answer
    def log_message(self, *args): pass
%s
http.server.ThreadingHTTPServer(('0.0.0.0', int(os.environ['PORT'])), Handler).serve_forever()
`;
const server = (...lines: string[]) => ({ 'serve.py': SERVER.replace('%s', lines.join('\n')) });

async function callsOf(port: number): Promise<unknown[]> {
  const response = await fetch(`http://127.0.0.1:${port}/calls`, { headers: { connection: 'close' } });
  return (await response.json()) as unknown[];
}

/** Connections at a port of this machine that are open at one end at least. */
async function connectionsAt(port: number): Promise<string[]> {
  const hex = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = (await readFile('/proc/net/tcp', 'utf8')).split('\n').slice(1);
  return rows.filter((row) => {
    const [, local = '', remote = '', state] = row.trim().split(/\s+/);
    return state === '01' && (local.endsWith(hex) || remote.endsWith(hex));
  });
}

describe.each(VARIANTS)('hooks of executables, $name', (variant) => {
  const start = async (variables: Record<string, string>, files: Record<string, string> = server()) => {
    const launcher = new Launcher({ variant, built, files });
    const port = await freePort();
    await launcher.load('serve.py', port, { variables });
    return { launcher, port };
  };
  const ask = async (launcher: Launcher, message: Message): Promise<Message | undefined> => {
    launcher.send(message);
    return await launcher.next();
  };
  const prepare = { type: 'prepare' };
  const resume = { type: 'resume', variables: { LATE: 'é\n"' } };

  test('without hooks: the program is left alone, before the freeze and after it', async () => {
    const { launcher, port } = await start({});
    await using _ = launcher;
    await launcher.until('loaded');
    expect(await ask(launcher, prepare)).toEqual({ type: 'prepared' });
    expect(await ask(launcher, resume)).toEqual({ type: 'resumed' });
    expect(await callsOf(port)).toEqual([]);
    expect(launcher.stderr).toBe('');
  });

  test('HTTP: the paths are requested once each, with order and token, and the connections closed', async () => {
    const { launcher, port } = await start({
      VMLET_BEFORE_SNAPSHOT: 'http:/freeze?now',
      VMLET_AFTER_RESTORE: 'http:/wake',
    });
    await using _ = launcher;
    await launcher.until('loaded');
    expect(await ask(launcher, prepare)).toEqual({ type: 'prepared' });
    expect(await connectionsAt(port)).toEqual([]);
    expect(await ask(launcher, resume)).toEqual({ type: 'resumed' });
    expect(await callsOf(port)).toEqual([
      ['POST', '/freeze?now', JSON.stringify(prepare), true],
      ['POST', '/wake', JSON.stringify(resume), true],
    ]);
    expect(launcher.stderr).toBe('');
  });

  test('HTTP: a hook may listen anew, which its launcher has to see meanwhile', async () => {
    const { launcher } = await start({ VMLET_AFTER_RESTORE: 'http:/listen' });
    await using _ = launcher;
    await launcher.until('loaded');
    expect(await ask(launcher, resume)).toEqual({ type: 'resumed' });
  });

  test('signals: are sent to the program', async () => {
    const { launcher, port } = await start(
      { VMLET_BEFORE_SNAPSHOT: 'signal:USR1', VMLET_AFTER_RESTORE: 'signal:SIGUSR2' },
      server(
        "signal.signal(signal.SIGUSR1, lambda *_: os.write(1, b'freezing'))",
        "signal.signal(signal.SIGUSR2, lambda *_: os.write(1, b'woken'))",
      ),
    );
    await using _ = launcher;
    await launcher.until('loaded');
    expect(await ask(launcher, prepare)).toEqual({ type: 'prepared' });
    await launcher.said('freezing');
    expect(await ask(launcher, resume)).toEqual({ type: 'resumed' });
    await launcher.said('woken');
    expect(await callsOf(port)).toEqual([]);
  });

  test('a path that warms up: is requested some times before the freeze, after the hook', async () => {
    const { launcher, port } = await start({ VMLET_BEFORE_SNAPSHOT: 'http:/freeze', VMLET_PRIME_PATH: '/warm' });
    await using _ = launcher;
    await launcher.until('loaded');
    expect(await ask(launcher, prepare)).toEqual({ type: 'prepared' });
    expect(await connectionsAt(port)).toEqual([]);
    const [first, ...rest] = await callsOf(port);
    expect(first).toEqual(['POST', '/freeze', JSON.stringify(prepare), true]);
    expect(rest.length).toBeGreaterThan(1);
    expect(rest).toEqual(rest.map(() => ['GET', '/warm', '', false]));
  });

  test('a path that warms up and is not there: is told in the log, and changes nothing', async () => {
    const { launcher } = await start({ VMLET_PRIME_PATH: '/404' });
    await using _ = launcher;
    await launcher.until('loaded');
    expect(await ask(launcher, prepare)).toEqual({ type: 'prepared' });
    await launcher.said('\n');
    expect(launcher.stderr).toBe(
      'init1-exec: Cannot prime "/404": status 404, expected an answer of status 200 to 399\n',
    );
  });

  test.each([
    ['/500', 'status 500, expected an answer of status 200 to 299'],
    ['/302', 'status 302, expected an answer of status 200 to 299'],
    ['/cut', 'Protocol error, expected an answer of status 200 to 299 within 10 s'],
  ])('a hook that fails: refuses snapshot or wake, and the program goes on, by %s', async (path, state) => {
    const { launcher, port } = await start({
      VMLET_BEFORE_SNAPSHOT: `http:${path}`,
      VMLET_AFTER_RESTORE: `http:${path}`,
    });
    await using _ = launcher;
    await launcher.until('loaded');
    const failed = { type: 'failed', code: 'HOOK_FAILED', message: `Cannot call the hook "http:${path}": ${state}` };
    expect(await ask(launcher, prepare)).toEqual({ ...failed, phase: 'snapshot', detail: '' });
    expect(await ask(launcher, resume)).toEqual({ ...failed, phase: 'resume', detail: '' });
    expect(await callsOf(port)).toHaveLength(2);
    expect(launcher.stderr).toContain(`init1-exec: HOOK_FAILED: ${failed.message}\n`);
  });

  test.each([
    ['VMLET_BEFORE_SNAPSHOT', 'signal:USR9'],
    ['VMLET_AFTER_RESTORE', '/wake'],
    ['VMLET_AFTER_RESTORE', 'http:wake'],
    ['VMLET_BEFORE_SNAPSHOT', `http:/${'x'.repeat(255)}`],
    ['VMLET_PRIME_PATH', '/a b'],
    ['VMLET_PRIME_PATH', '/\r\nhost: evil'],
  ])('a malformed hook: fails the load, %s=%s', async (variable, value) => {
    const { launcher } = await start({ [variable]: value });
    await using _ = launcher;
    expect(await launcher.until('failed')).toMatchObject({
      phase: 'load',
      code: 'HOOK_MALFORMED',
      message: expect.stringContaining(`Cannot use variable "${variable}=`),
    });
    expect(await launcher.end()).toMatchObject({ code: 64 });
  });

  test('an empty hook: is none', async () => {
    const { launcher } = await start({ VMLET_BEFORE_SNAPSHOT: '', VMLET_PRIME_PATH: '' });
    await using _ = launcher;
    await launcher.until('loaded');
    expect(await ask(launcher, prepare)).toEqual({ type: 'prepared' });
  });

  test('without a program: freezes, and a clone loads one, which has the late variables too', async () => {
    await using launcher = new Launcher({ variant, built, files: server("print(os.environ['LATE'], flush=True)") });
    await launcher.until('ready');
    expect(await ask(launcher, prepare)).toEqual({ type: 'prepared' });
    expect(await ask(launcher, resume)).toEqual({ type: 'resumed' });
    const port = await freePort();
    launcher.send({ type: 'load', code: null, entrypoint: 'serve.py', interface: null, variables: {}, port });
    await launcher.until('loaded');
    await launcher.said('é\n"\n');
  });
});
