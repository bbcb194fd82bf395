import { appendFile, mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '@vmlet/host';
import { REPOSITORY } from '../tests/framework/runtime.ts';
import type { BenchNode } from './node.ts';
import { makeNodeApp } from './node-app.ts';

const VMLET = join(REPOSITORY, 'packages/cli/bin/vmlet');

/** How long `vmlet deploy` of an app of 20 MB takes as its user sees it, and its first answer; in milliseconds. */
export async function deployNodeApp(
  node: BenchNode,
  { runs, tell }: { runs: number; tell: (text: string) => void },
): Promise<{ deploy: number[]; firstAnswer: number[] }> {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'vmlet-bench-'));
  await makeNodeApp(folder.path);
  const samples: { deploy: number[]; firstAnswer: number[] } = { deploy: [], firstAnswer: [] };
  // The first one finds the runtime missing from the node, as no later one does.
  for (let index = -1; index < runs; index++) {
    await appendFile(join(folder.path, 'server.js'), `// ${index}\n`);
    const name = `bench-${index + 1}`;
    const started = performance.now();
    const printed = await run(VMLET, ['deploy', folder.path, '--name', name], { env: node.env });
    const deployed = performance.now();
    const answer = await fetch(printed.split('\n')[0] ?? '');
    const answered = performance.now();
    if (answer.status !== 200) throw new Error(`Cannot bench: ${answer.status} ${await answer.text()}`);
    await answer.arrayBuffer();
    await run(VMLET, ['rm', name, '--yes'], { env: node.env });
    if (index < 0) continue;
    samples.deploy.push(deployed - started);
    samples.firstAnswer.push(answered - deployed);
    tell(`deploy ${index + 1} of ${runs}`);
  }
  return samples;
}
