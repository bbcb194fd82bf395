import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { compile } from '../native.ts';

/** A server of the host that answers faster than any proxy before it. */
export interface Upstream extends AsyncDisposable {
  port: number;
}

/** Compiles and starts it. */
export async function startUpstream(folder: string): Promise<Upstream> {
  const child = spawn(await compile('throughput/upstream.c', folder), { stdio: ['ignore', 'pipe', 'inherit'] });
  const exit = once(child, 'exit');
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  return {
    port: Number(line),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exit;
    },
  };
}
