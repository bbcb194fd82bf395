import { Client } from 'undici';
import { zipOf } from '../tests/framework/publish.ts';
import { startDirect } from './direct.ts';
import { PYTHON_HELLO } from './programs.ts';

/** Requests before the hot ones count: the emulator translates the program's code as it is first run. */
const WARM_UP = 200;

/** Milliseconds of each request, in the order they were sent. */
export interface HotSamples {
  direct: number[];
  gateway: number[];
  /** Of a node:http server that answers by itself, beside the gateway: what a hop to another process costs alone. */
  bare: number[];
}

/**
 * Requests in turn to one machine: over a kept stream of its wire, and over a kept connection to a gateway before it; and
 * over another to a server that does nothing.
 */
export async function hotRequests(count: number): Promise<HotSamples> {
  await using program = await startDirect(zipOf({ 'main.py': PYTHON_HELLO }));
  await using stack = new AsyncDisposableStack();
  const gateway = stack.adopt(new Client(program.gatewayUrl), (client) => client.destroy());
  const bare = stack.adopt(new Client(program.bareUrl), (client) => client.destroy());
  const samples: HotSamples = { direct: [], gateway: [], bare: [] };
  for (let index = -WARM_UP; index < count; index++) {
    const directMs = await program.ask();
    const gatewayMs = await timed(gateway, program.path);
    const bareMs = await timed(bare, '/');
    if (index < 0) continue;
    samples.bare.push(bareMs);
    samples.direct.push(directMs);
    samples.gateway.push(gatewayMs);
  }
  return samples;
}

async function timed(client: Client, path: string): Promise<number> {
  const started = performance.now();
  const answer = await client.request({ method: 'GET', path });
  await answer.body.dump();
  return performance.now() - started;
}
