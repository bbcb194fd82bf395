import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Lab, openLab } from '../framework/clones.ts';
import { cloneCount, officialNames } from '../framework/variants.ts';

/** Draws from each generator of Python's at `/draw`, after it has drawn from all of them while it was loaded. */
const DRAWS = `
import json, os, random, secrets, socket, ssl, tempfile, time, uuid

def text_of(path):
    with open(path) as file:
        return file.read()

def draw():
    return {
        "urandom": os.urandom(16).hex(),
        "getrandom": os.getrandom(16).hex(),
        "random": [random.random(), random.getrandbits(64), random.SystemRandom().random()],
        "uuid": [str(uuid.uuid4()), str(uuid.uuid1())],
        "secrets": [secrets.token_hex(16), secrets.randbelow(2**60)],
        "openssl": ssl.RAND_bytes(16).hex(),
        "name": next(tempfile._get_candidate_names()),
        "kernel": text_of("/proc/sys/kernel/random/uuid"),
        "machine": text_of("/etc/machine-id"),
        "hostname": [socket.gethostname(), text_of("/etc/hostname")],
    }

for _ in range(40):
    draw()
loaded_at = time.monotonic()
STARTS = []

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                STARTS.append("startup")
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    answers = {
        "/draw": draw,
        "/clock": lambda: {"sinceLoaded": time.monotonic() - loaded_at, "ms": time.time() * 1000},
        "/starts": lambda: STARTS,
    }
    body = json.dumps(answers[scope["path"]]()).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body})
`;

const APP = { files: { 'main.py': DRAWS }, entrypoint: 'main:app', launcher: 'python' } as const;
/** How far a clone's clock may be from the host's, in milliseconds. */
const CLOCK_MS = 10;

/** Clones on runtimes that are not the usual one. */
const FEW = 3;
const RUNTIMES = officialNames(['debian-12-python', 'debian-11-python-node', 'debian-13-python']);

describe.each(RUNTIMES)('clones of a Python program on %s', (runtime) => {
  const clones = runtime === RUNTIMES[0] ? cloneCount() : FEW;
  const controller = new AbortController();
  let lab: Lab;
  beforeAll(async () => {
    lab = await openLab(runtime, { signal: controller.signal });
  });
  afterAll(async () => {
    controller.abort();
    await lab?.[Symbol.asyncDispose]();
  });

  test('clones: draw no value that another has drawn, and are named each by itself', async () => {
    // Without a step of the clock: what OpenSSL does not see by itself, it is told.
    const snapshot = await lab.snapshot(APP, { level: 'program' });
    const values: unknown[] = [];
    for (let count = clones; count > 0; count -= 1) {
      await using clone = await snapshot.clone();
      const drawn = JSON.parse(await clone.get('/draw')) as Record<string, unknown>;
      const { hostname, ...others } = drawn;
      const [name, file] = hostname as [string, string];
      expect(`${name}\n`).toBe(file);
      values.push(...Object.values(others).flat(), name);
      expect(JSON.parse(await clone.get('/starts'))).toEqual(['startup']);
    }
    expect(values.length).toBeGreaterThanOrEqual(14 * clones);
    expect(values.filter((value, index) => values.indexOf(value) !== index)).toEqual([]);
    expect(snapshot.log).toBe('');
  });

  test('clones: have the time of the host, and a monotonic clock that goes on from the snapshot', async () => {
    // Ten hours back: as if the snapshot were that old.
    const snapshot = await lab.snapshot(APP, { level: 'program', clockBehindMs: 36_000_000 });
    for (let count = 0; count < 3; count += 1) {
      await using clone = await snapshot.clone();
      const before = Date.now();
      const { ms, sinceLoaded } = JSON.parse(await clone.get('/clock')) as { ms: number; sinceLoaded: number };
      expect(ms).toBeGreaterThan(before - CLOCK_MS);
      expect(ms).toBeLessThan(Date.now() + CLOCK_MS);
      expect(sinceLoaded).toBeGreaterThan(0);
      expect(sinceLoaded).toBeLessThan(3600);
    }
  });

  test('the runtime’s snapshot: serves programs that came after it, each of a clone of its own', async () => {
    const snapshot = await lab.snapshot(APP, { level: 'runtime' });
    const values: unknown[] = [];
    for (let count = 0; count < 2; count += 1) {
      await using clone = await snapshot.clone();
      await clone.load();
      const { hostname: _hostname, ...drawn } = JSON.parse(await clone.get('/draw')) as Record<string, unknown>;
      values.push(...Object.values(drawn).flat());
    }
    expect(new Set(values).size).toBe(values.length);
    expect(snapshot.log).toBe('');
  });
});
