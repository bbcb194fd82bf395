import { openSync } from 'node:fs';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FileHash, ItemHash } from '@vmlet/messages';
import { expect, test } from 'vitest';
import { Cage } from '../machines/cage/index.ts';
import { backend } from '../machines/testing.ts';
import type { RunnableProgram } from '../runtimes/index.ts';
import { Snapshots } from '../snapshots/index.ts';
import { createLogger } from '../telemetry/index.ts';
import { programInputs } from './inputs.ts';
import { Starts } from './starts.ts';

const HASH = 'a'.repeat(64);
const nowhere = () => openSync('/dev/null', 'r');

const program: RunnableProgram = {
  ...{ itemHash: HASH as ItemHash, runtimeHash: HASH as FileHash, codeHash: HASH as FileHash, codeForm: 'zip.v2' },
  launch: { kind: 'python', init: 'kit', argv: ['python3'], entrypoint: 'main:app', interface: 'asgi', args: [] },
  ...{ variables: {}, vcpus: 1, memoryMiB: 1, seconds: 1, snapshot: true, internet: false, guestApi: false },
  ...{ runtimeImage: '/runtime', codeImage: import.meta.filename },
};

test('starts: a host that starts no process keeps its snapshots, and says why the machine did not start', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  const snapshots = await Snapshots.open({ dir: dir.path, budgetBytes: 1e9, onDamaged: () => {} });
  const none = { stands: false, text: 'not asked for' };
  // Confines nothing, and has a way to hand files on that is not reached.
  const cage = new Cage({
    findings: { sandbox: none, namespaces: none, users: none, cgroups: none, egress: none },
    passing: { pair: () => ({ near: nowhere(), far: nowhere() }), pass: () => {} },
    ...{ made: undefined, namespaces: false, sandbox: false, uids: undefined, cgroups: undefined, egress: undefined },
    kvm: 'not asked for',
  });
  const made = { backend: { ...backend, cage }, host: { qemu: HASH, host: HASH } };
  const inputs = programInputs(program, made);
  await using draft = await snapshots.begin(inputs);
  await writeFile(draft.memoryPath, 'memory');
  await writeFile(draft.statePath, 'state');
  await draft.commit({ serves: 'asgi' });

  const refused: string[] = [];
  const starts = new Starts({
    ...{ backend: made.backend, saved: { snapshots, host: made.host }, log: createLogger('silent') },
  });
  starts.onRefused = (key) => refused.push(key);
  const { PATH } = process.env;
  process.env.PATH = dir.path;
  try {
    const { signal } = new AbortController();
    const options = { bootDeadlineMs: 10_000, loadDeadlineMs: 10_000, onLog: () => {}, signal };
    await expect(starts.start(program, options)).rejects.toMatchObject({ code: 'QEMU_NOT_STARTED' });
  } finally {
    process.env.PATH = PATH;
  }
  expect(refused).toEqual([]);
  expect(await snapshots.find(inputs)).toMatchObject({ serves: 'asgi' });
});
