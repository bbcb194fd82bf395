import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Lab, openLab } from '../framework/clones.ts';

/** A server of its own, with a generator of its own, as a binary in any language has. */
const SERVER = `#!/usr/bin/python3
import http.server, json, os, random, signal
calls = []
def wake(*_):
    calls.append('woken')
    random.seed()
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        body = self.rfile.read(int(self.headers.get('content-length', 0))).decode()
        if self.path.startswith('/hooks/'):
            is_own = self.headers.get('x-vmlet-hook-token') == os.environ['VMLET_HOOK_TOKEN']
            calls.append([self.path, json.loads(body).get('variables'), is_own])
            if self.path == '/hooks/wake': wake()
        seen = {'calls': calls, 'own': random.random(), 'kernel': os.urandom(8).hex()}
        text = json.dumps(seen).encode()
        self.send_response(200)
        self.send_header('content-length', len(text))
        self.end_headers()
        self.wfile.write(text)
    do_GET = do_POST = answer
    def log_message(self, *args): pass
signal.signal(signal.SIGUSR2, wake)
http.server.ThreadingHTTPServer(('0.0.0.0', int(os.environ['PORT'])), Handler).serve_forever()
`;
const PROGRAM = { files: { 'serve.py': SERVER }, entrypoint: 'serve.py', launcher: 'exec' } as const;

interface Seen {
  calls: unknown[];
  own: number;
  kernel: string;
}

describe('clones of an executable', () => {
  const controller = new AbortController();
  let lab: Lab;
  beforeAll(async () => {
    lab = await openLab('debian-12-python', { signal: controller.signal });
  });
  afterAll(async () => {
    controller.abort();
    await lab?.[Symbol.asyncDispose]();
  });

  async function clonesOf(variables: Record<string, string>, late: readonly string[]): Promise<Seen[]> {
    const snapshot = await lab.snapshot({ ...PROGRAM, variables }, { level: 'program' });
    const seen: Seen[] = [];
    for (const SECRET of late) {
      await using clone = await snapshot.clone({ SECRET });
      seen.push(JSON.parse(await clone.get('/')) as Seen);
    }
    expect(snapshot.log).toBe('');
    return seen;
  }

  test('clones: have randomness of their own from the kernel, and from what they reseed in a hook of HTTP', async () => {
    const seen = await clonesOf(
      { VMLET_BEFORE_SNAPSHOT: 'http:/hooks/freeze', VMLET_AFTER_RESTORE: 'http:/hooks/wake', VMLET_PRIME_PATH: '/' },
      ['one', 'two'],
    );
    const freeze = ['/hooks/freeze', null, true];
    expect(seen.map(({ calls }) => calls)).toEqual(
      ['one', 'two'].map((SECRET) => [freeze, ['/hooks/wake', { SECRET }, true], 'woken']),
    );
    expect(seen[0]?.own).not.toBe(seen[1]?.own);
    expect(seen[0]?.kernel).not.toBe(seen[1]?.kernel);
  });

  test('clones: are told by a signal', async () => {
    const seen = await clonesOf({ VMLET_AFTER_RESTORE: 'signal:USR2' }, ['one', 'two']);
    expect(seen.map(({ calls }) => calls)).toEqual([['woken'], ['woken']]);
    expect(seen[0]?.own).not.toBe(seen[1]?.own);
  });

  test('clones: without a hook share what the program keeps to itself, as the guide says', async () => {
    const seen = await clonesOf({}, ['one', 'two']);
    expect(seen[0]?.own).toBe(seen[1]?.own);
    expect(seen[0]?.kernel).not.toBe(seen[1]?.kernel);
  });
});
