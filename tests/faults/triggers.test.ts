import { once } from 'node:events';
import type { ItemHash } from '@vmlet/messages';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { machinesOf, processesNaming } from '../framework/leaks.ts';
import { makeTestHome, type NodeProcess, type TestHome } from '../framework/node-process.ts';
import { publishPath, publishPost } from '../framework/publish.ts';
import { officialRuntime } from '../framework/runtime.ts';
import { TELLING } from './trigger-steps.ts';
import { buildVictim, deployVictim, gone, timesGot } from './victim.ts';

let home: TestHome;
let node: NodeProcess;
let runtime: ItemHash;
let victim: Buffer;

beforeAll(async () => {
  [home, victim] = await Promise.all([makeTestHome(), buildVictim()]);
  node = await home.start({ stepped: true });
  const { imagePath, manifest } = await officialRuntime('minimal');
  runtime = await publishPath(node, imagePath, manifest);
});
afterAll(async () => home[Symbol.asyncDispose]());

/** A program that listens to a channel of its own, and a message of that, which has come to a step. */
async function toldTo(step: string) {
  const channel = `TOLD ${step}`;
  const program = await deployVictim(node, { victim, runtime, onMessage: [{ channel }] });
  const reached = node.steps.reached(step);
  const message = await publishPost(node, 'x', { channel });
  return { program, message, held: await reached };
}

async function killNode(): Promise<void> {
  const machines = await processesNaming(`vmlet-${node.homeId}-`);
  node.child.kill('SIGKILL');
  await once(node.child, 'exit');
  await Promise.all(machines.map(gone));
  node = await home.start({ stepped: true });
}

describe('triggers', () => {
  test.each(TELLING)(
    'node killed at $step: the program is told of the message all the same',
    async ({ step, times }) => {
      const { program, message } = await toldTo(step);
      await killNode();
      await node.logSays(program, `Took the message ${message.slice(0, 12)}`);
      // What a program prints is in its log a little later.
      await node.logSays(program, 'got /told');
      expect(times).toContain(await timesGot(home.home, program, '/told'));
    },
  );

  test('machine killed at trigger.sent: the program is told of the message once more', async () => {
    const { program, message, held } = await toldTo('trigger.sent');
    const machines = await machinesOf(node.homeId);
    for (const machine of machines) process.kill(machine, 'SIGKILL');
    await Promise.all(machines.map(gone));
    held.release();
    await node.logSays(program, `Took the message ${message.slice(0, 12)}`);
  });
});
