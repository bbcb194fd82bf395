import { ensureBootKit } from '@vmlet/guest';
import { resolvePaths } from '@vmlet/host';
import { officialRuntime } from './runtime.ts';

/**
 * Builds what all tests share, once, before any of them runs: the boot kit and the official runtime. Both are kept in
 * $VMLET_CACHE by the hash of their inputs, so that this takes a moment on every run but the first.
 */
export async function setup(): Promise<void> {
  const onProgress = (step: string) => process.stderr.write(`tests: ${step}\n`);
  await ensureBootKit({ cache: resolvePaths().cache, onProgress: once(onProgress) });
  await officialRuntime(undefined, once(onProgress));
}

/** A long step tells each of its lines; once is enough here. */
function once(tell: (step: string) => void): (step: string) => void {
  let last = '';
  return (step) => {
    if (step !== last) tell(step);
    last = step;
  };
}
