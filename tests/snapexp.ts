import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { ensureBootKit } from '@vmlet/guest';
import { resolvePaths } from '@vmlet/host';
import { connectTo, launcherEnvironment } from '../packages/node/src/executions/launcher.ts';
import { bootMachine } from '../packages/node/src/machines/boot.ts';
import { openCage } from '../packages/node/src/machines/cage/index.ts';
import { captureMachine } from '../packages/node/src/machines/capture.ts';
import { probeAccelerator } from '../packages/node/src/machines/index.ts';
import { loadProgram } from '../packages/node/src/machines/load.ts';
import { restoreMachine } from '../packages/node/src/machines/restore.ts';
import { openStateReceiver } from '../packages/node/src/machines/state-receiver.ts';
import { officialRuntime } from './framework/runtime.ts';

const dir = mkdtempSync('/tmp/snapexp/x-');
const signal = new AbortController().signal;
const cache = resolvePaths().cache;
const kit = await ensureBootKit({ cache, signal });
const cage = await openCage({ cache, name: 'vmlet-snapexp', homeId: '12345678', signal });
console.log(JSON.stringify(cage.findings));
const backend = {
  kit,
  accelerator: 'tcg' as const,
  tscKhz: Number(execFileSync(kit.tscRate).toString().trim()),
  cage,
  namePrefix: 'vmlet-snapexp-',
};
console.log('tsc', backend.tscKhz);
const runtime = await officialRuntime();
mkdirSync(join(dir, 'code'));
writeFileSync(join(dir, 'code/main.py'), readFileSync(process.argv[2] ?? 'examples/python-hello/main.py'));
execFileSync('mksquashfs', [join(dir, 'code'), join(dir, 'code.img'), '-quiet', '-no-progress']);
const spec = {
  runtimeImage: runtime.imagePath,
  codeImage: join(dir, 'code.img'),
  vcpus: 1,
  memoryMiB: 256,
  internet: false,
  hostname: 'x',
  launcher: { argv: ['/usr/bin/python3', '-u', '/run/vmlet/kit/init1/python/init1.py'], env: launcherEnvironment },
};
const memoryPath = join(dir, 'memory');
writeFileSync(memoryPath, '');
truncateSync(memoryPath, 256 * 1024 * 1024);
chmodSync(memoryPath, 0o666);
chmodSync(dir, 0o711);
const events = { onLog: (line: { text: string }) => process.stdout.write(`[log] ${line.text}`) };
const receiver = await openStateReceiver(dir);
let t = performance.now();
const lap = (name: string) => {
  const n = performance.now();
  console.log(name, (n - t).toFixed(1));
  t = n;
};
const m = await bootMachine(backend, spec, {
  deadlineMs: 60000,
  events,
  save: { memoryPath, receiver: receiver.path },
  clockBehindMs: 7_200_000,
  signal,
});
lap('boot');
await loadProgram(
  m,
  { code: { device: '/dev/vdc' }, entrypoint: 'main:app', interface: 'asgi', variables: {}, port: 8080 },
  { deadlineMs: 60000, signal },
);
lap('load');
const state = await captureMachine(m, receiver, { deadlineMs: 60000, signal });
lap('capture');
console.log('state bytes', state.length);
writeFileSync(join(dir, 'state'), state);
execFileSync('fallocate', ['--dig-holes', memoryPath]);
execFileSync('sync', [memoryPath]);
console.log('memory MiB on disk', (statSync(memoryPath).blocks * 512) / 1048576);
chmodSync(memoryPath, 0o444);
for (let i = 0; i < Number(process.argv[3] ?? 8); i++) {
  t = performance.now();
  const t0 = t;
  const c = await restoreMachine(backend, spec, {
    snapshot: { memoryPath, statePath: join(dir, 'state'), serves: 'asgi' },
    variables: {},
    deadlineMs: 20000,
    events,
    signal,
  });
  lap('restore');
  console.log(JSON.stringify(c.marks.map((m) => [m.step, Math.round(m.atMs)])));
  const pool = connectTo(c);
  const r = await pool.request({ path: '/', method: 'GET' });
  const body = await r.body.text();
  lap('first');
  console.log('total', (t - t0).toFixed(1), r.statusCode, body.slice(0, 60));
  const r2 = await pool.request({ path: '/', method: 'GET' });
  await r2.body.text();
  lap('second');
  await pool.destroy();
  c.kill();
  await c.ended;
}
await receiver[Symbol.asyncDispose]();
await cage[Symbol.asyncDispose]();
rmSync(dir, { recursive: true });
