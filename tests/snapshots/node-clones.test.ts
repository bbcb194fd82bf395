import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nodeVersions } from '../../packages/guest/init1-node/test/harness.ts';
import { type Lab, openLab, type ProgramFiles } from '../framework/clones.ts';
import { cloneCount, others } from '../framework/variants.ts';

/** Draws from each generator of Node's at `/draw`, after it has drawn from all of them while it was loaded. */
const DRAWS = `
import crypto, { randomInt, randomUUID } from 'crypto';
import { readFileSync } from 'fs';
import { hostname } from 'os';
const web = globalThis.crypto || crypto.webcrypto;
const calls = [];
const later = (draw) => new Promise((resolve) => draw((error, value) => resolve(value)));
const hex = (bytes) => Buffer.from(bytes).toString('hex');
const ofWeb = async () => ({
  webUuid: web.randomUUID ? web.randomUUID() : randomUUID(),
  values: hex(web.getRandomValues(new Uint8Array(16))),
  key: hex(await web.subtle.exportKey('raw', await web.subtle.generateKey({ name: 'HMAC', hash: 'SHA-256' }, true,
    ['sign']))),
});
const draw = async () => ({
  math: [Math.random(), Math.random()],
  uuid: [randomUUID(), randomUUID(), randomUUID({ disableEntropyCache: true })],
  int: [randomInt(2 ** 47), await later((done) => randomInt(2 ** 47, done))],
  bytes: [crypto.randomBytes(16), await later((done) => crypto.randomBytes(16, done)),
    crypto.randomFillSync(Buffer.alloc(16))].map(hex),
  pair: crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'pem' }),
  ...(web ? await ofWeb() : {}),
  kernel: readFileSync('/proc/sys/kernel/random/uuid', 'utf8'),
  machine: readFileSync('/etc/machine-id', 'utf8'),
  hostname: hostname(),
});
for (let count = 0; count < 40; count += 1) await draw();
export const beforeSnapshot = () => { calls.push('before'); };
export const afterRestore = async () => { calls.push('after ' + process.env.SECRET, Math.random()); };
export default async (request, response) => {
  const answers = { '/calls': () => calls, '/date': () => Date.now(), '/version': () => process.versions.node };
  response.end(JSON.stringify(await (answers[request.url] || draw)()));
};
`;

const APP = { entrypoint: 'app.mjs', launcher: 'node' } as const;

/** The versions of the runtime, and the oldest that the launcher is for, which the program brings along. */
const versions = [
  ...['24', '22'].map((version) => ({ version, path: undefined })),
  ...(await nodeVersions())
    .filter(({ major }) => major < 20)
    .map(({ path }) => ({
      version: execFileSync(path, ['-p', 'process.versions.node'], { encoding: 'utf8' }).trim(),
      path,
    })),
];

function programOf({ version, path }: (typeof versions)[number]): ProgramFiles {
  const files = { 'app.mjs': DRAWS, '.nvmrc': version };
  if (path === undefined) return { files, ...APP };
  return { files, ...APP, nodes: { [`v${version}/bin/node`]: path } };
}

/** Runtimes that have one version each, beside the usual one. */
const MIXED = others([
  { runtime: 'debian-11-python-node', version: '14' },
  { runtime: 'debian-13-python', version: '24' },
]);

async function drawAll(lab: Lab, version: { version: string; path: string | undefined }, clones: number) {
  // Without a step of the clock: what OpenSSL does not see by itself, it is told.
  const snapshot = await lab.snapshot(programOf(version), { level: 'program' });
  const values: unknown[] = [];
  for (let count = clones; count > 0; count -= 1) {
    await using clone = await snapshot.clone();
    const drawn = await clone.get('/draw');
    values.push(...Object.values(JSON.parse(drawn) as Record<string, unknown>).flat());
    expect(JSON.parse(await clone.get('/version'))).toMatch(new RegExp(`^${version.version}`));
  }
  expect(values.length).toBeGreaterThanOrEqual(14 * clones);
  expect(repeated(values)).toEqual([]);
  expect(snapshot.log).toBe('');
}

/** Clones of the versions that are not the runtime's first. */
const FEW = 3;

function repeated(values: readonly unknown[]): unknown[] {
  return values.filter((value, index) => values.indexOf(value) !== index);
}

describe('clones of a Node.js program', () => {
  const controller = new AbortController();
  let lab: Lab;
  beforeAll(async () => {
    lab = await openLab('debian-11-node', { signal: controller.signal });
  });
  afterAll(async () => {
    controller.abort();
    await lab?.[Symbol.asyncDispose]();
  });

  test.each(versions)(
    'clones: draw no value that another has drawn, with Node.js $version',
    (version) => drawAll(lab, version, version === versions[0] ? cloneCount() : FEW),
    900_000,
  );

  test('hooks: are called in the machine, with variables that came after the snapshot', async () => {
    const program = { files: { 'app.mjs': DRAWS }, ...APP, variables: { SECRET: 'none' } };
    const snapshot = await lab.snapshot(program, { level: 'program', clockBehindMs: 7_200_000 });
    const wakes: unknown[] = [];
    for (const SECRET of ['one', 'two']) {
      await using clone = await snapshot.clone({ SECRET });
      const [before, after, random] = JSON.parse(await clone.get('/calls'));
      expect([before, after]).toEqual(['before', `after ${SECRET}`]);
      wakes.push(random);
      expect(Math.abs(Number(await clone.get('/date')) - Date.now())).toBeLessThan(60_000);
    }
    expect(repeated(wakes)).toEqual([]);
  });

  test('the runtime’s snapshot: serves programs that came after it, each of a clone of its own', async () => {
    const program = { files: { 'app.mjs': DRAWS }, ...APP, variables: { SECRET: 'x' } };
    const snapshot = await lab.snapshot(program, { level: 'runtime' });
    const values: unknown[] = [];
    for (let count = 0; count < 2; count += 1) {
      await using clone = await snapshot.clone();
      await clone.load();
      values.push(...Object.values(JSON.parse(await clone.get('/draw')) as Record<string, unknown>).flat());
      expect(JSON.parse(await clone.get('/calls'))).toEqual([]);
    }
    expect(repeated(values)).toEqual([]);
    expect(snapshot.log).toBe('');
  });
});

describe.each(MIXED)('clones of a Node.js program on $runtime', ({ runtime, version }) => {
  test('clones: draw no value that another has drawn, beside Python', async () => {
    const controller = new AbortController();
    await using lab = await openLab(runtime, { signal: controller.signal });
    await drawAll(lab, { version, path: undefined }, FEW);
    controller.abort();
  }, 300_000);
});
