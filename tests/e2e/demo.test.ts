import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { resolvePaths } from '@vmlet/host';
import { expect, test } from 'vitest';
import * as z from 'zod';
import { processesNaming } from '../framework/leaks.ts';
import { REPOSITORY } from '../framework/runtime.ts';

const phasesSchema = z.record(z.string(), z.number().nonnegative());
const shownSchema = z.object({
  status: z.literal(200),
  body: z.string().startsWith('Hello, world!'),
  coldMs: z.number().positive(),
  savedMs: z.number().positive(),
  pausedMs: z.number().positive(),
  hotMs: z.number().positive(),
  phases: phasesSchema,
  savedPhases: phasesSchema,
});
const demoSchema = z.strictObject({
  python: shownSchema.extend({ body: z.string().includes('This is Python 3') }),
  node: shownSchema.extend({ body: z.string().includes('This is Node.js 2') }),
  backend: z.enum(['kvm', 'tcg']),
});

test('demo: calls an example of each language from all its temperatures, ends with one line of JSON, and leaves nothing', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'vmlet-test-'));
  try {
    const child = spawn(join(REPOSITORY, 'packages/cli/bin/vmlet'), ['demo', '--json', '--runs', '5'], {
      // Whatever it makes beside the cache is made here, and would be found.
      env: { ...process.env, TMPDIR: folder, VMLET_CACHE: resolvePaths().cache },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
    expect(code, stderr).toBe(0);
    const { python, node } = demoSchema.parse(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? ''));
    for (const shown of [python, node]) {
      expect(Object.keys(shown.phases)).toEqual(['queue', 'prepare', 'boot', 'load', 'app', 'total']);
      expect(Object.keys(shown.savedPhases)).toEqual(['queue', 'prepare', 'restore', 'resume', 'app', 'total']);
      expect(shown.hotMs).toBeLessThan(shown.coldMs);
    }
    expect(await readdir(folder)).toEqual([]);
    // A machine's images lie in its node's home, and so in that folder.
    expect(await processesNaming(folder)).toEqual([]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
