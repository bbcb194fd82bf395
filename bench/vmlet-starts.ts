import { publishPath } from '../tests/framework/publish.ts';
import { officialRuntime } from '../tests/framework/runtime.ts';
import type { BenchNode } from './node.ts';
import { executableHello, FASTAPI_HELLO, NODE_HELLO, PYTHON_HELLO } from './programs.ts';
import type { Sampler } from './round-robin.ts';
import { askAt, askNew, type BenchProgram, bringTo, deploySaved } from './temperatures.ts';

/** Programs of each kind, on the official runtimes. */
async function programsOf(
  node: BenchNode,
): Promise<Record<'python' | 'fastapi' | 'node' | 'executable', BenchProgram>> {
  const { imagePath, manifest } = await officialRuntime('debian-11-node');
  const python = { runtime: node.runtime, entrypoint: 'main:app' };
  return {
    python: { ...python, files: { 'main.py': PYTHON_HELLO } },
    fastapi: { ...python, files: { 'main.py': FASTAPI_HELLO } },
    node: {
      runtime: await publishPath(node, imagePath, manifest),
      files: { 'server.js': NODE_HELLO },
      entrypoint: 'server.js',
    },
    executable: { runtime: node.runtime, files: await executableHello(), entrypoint: 'hello' },
  };
}

/**
 * Starts through a gateway, from every temperature, by row.
 * @param node has snapshots; its programs are saved here
 * @param booting has none
 */
export async function vmletStarts(nodes: { node: BenchNode; booting: BenchNode }): Promise<Record<string, Sampler>> {
  const { node, booting } = nodes;
  const { python, fastapi, node: nodeJs, executable } = await programsOf(node);
  const saved = {
    python: await deploySaved(node, python),
    node: await deploySaved(node, nodeJs),
    fastapi: await deploySaved(node, fastapi),
    executable: await deploySaved(node, executable),
  };
  const at = (program: keyof typeof saved, to: 'paused' | 'spare' | 'program') => async () => {
    const itemHash = saved[program];
    await bringTo(node, itemHash, to === 'program' ? 'snapshot' : to);
    const ms = await askAt(node, itemHash, to);
    // Rows after this one find nothing of it: a machine that is kept has a share of the processors.
    await bringTo(node, itemHash, 'snapshot');
    return ms;
  };
  const pythonThere = { ...python, runtime: booting.runtime };
  return {
    'paused-python': at('python', 'paused'),
    'paused-node': at('node', 'paused'),
    'spare-python': at('python', 'spare'),
    'spare-node': at('node', 'spare'),
    'program-level-python': at('python', 'program'),
    'program-level-node': at('node', 'program'),
    'program-level-fastapi': at('fastapi', 'program'),
    'program-level-executable': at('executable', 'program'),
    'runtime-level-python': () => askNew(node, python, 'runtime'),
    'full-boot-python': () => askNew(booting, pythonThere, 'boot'),
  };
}
