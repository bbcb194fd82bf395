import { once } from 'node:events';
import { deadline } from './deadline.ts';
import { armedFailpoints } from './failpoint.ts';
import { missing } from './machines/cage/index.ts';
import type { Backend } from './machines/index.ts';
import { openCompute } from './make-compute.ts';
import { openEdges } from './make-edges.ts';
import { openNetwork } from './make-network.ts';
import type { NodeOptions } from './node-options.ts';
import { createLogger } from './telemetry/index.ts';

export { diagnoseHost } from './diagnose.ts';
export { toProblem, VmletError } from './errors.ts';
export { initFiles } from './init-files.ts';
export { loadOrCreateKey } from './keys/index.ts';
export type { NodeOptions } from './node-options.ts';
export { pathsOf } from './store/index.ts';
export { VERSION } from './version.ts';

/** A node that takes requests. Disposing of it answers those under way, stops all machines and frees its home. */
export interface RunningNode extends AsyncDisposable {
  /** Of the API; programs are below `/vm/` there and on hosts of their own. */
  readonly url: string;
  readonly programDomain: string;
  readonly ownerSocket: string;
  /** The address whose key this node's owner holds. */
  readonly operator: string;
  readonly backend: Backend['accelerator'];
  /** Parts of the machines' confinement that are missing here, each with why. */
  readonly unconfined: readonly string[];
}

/**
 * Starts a node: all its parts are made here, and here only, from the lowest up. Whatever fails, what was made before
 * is undone.
 * @throws VmletError such as `FAILPOINT_UNKNOWN`, `HOME_LOCKED`, `PORT_IN_USE`, `QEMU_NOT_STARTED`, `BACKEND_UNUSABLE`
 */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  await using stack = new AsyncDisposableStack();
  const log = createLogger(options.logLevel ?? 'warn');
  const failpoints = armedFailpoints();
  if (failpoints.length > 0) log.warn({ failpoints }, 'failpoints are armed: this node is one of a test');
  const network = await openNetwork(options, { stack, log });
  const compute = await openCompute(options, { stack, log, network });
  const draining = { isDraining: false };
  const edges = await openEdges(options, { stack, log, network, compute, draining });
  // The first that is done when the node ends.
  stack.defer(async () => {
    draining.isDraining = true;
    const { drainDelayMs = 0 } = options;
    if (drainDelayMs === 0) return;
    using limit = deadline(drainDelayMs);
    await once(limit.signal, 'abort');
  });
  const owned = stack.move();
  return {
    ...edges,
    operator: network.operator,
    backend: compute.backend.accelerator,
    unconfined: missing(compute.backend.cage.findings),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
