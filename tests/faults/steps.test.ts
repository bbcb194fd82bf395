import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { ItemHash } from '@vmlet/messages';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Failpoint } from '../../packages/node/src/failpoint.ts';
import { FAILPOINTS } from '../../packages/node/src/failpoint.ts';
import type { Held } from '../framework/failpoints.ts';
import { machinesOf, openFilesOf, processesNaming, tracesOf, unfinishedIn } from '../framework/leaks.ts';
import { makeTestHome, type NodeProcess, type TestHome } from '../framework/node-process.ts';
import { messageOfFile, publishPath, uploadFile } from '../framework/publish.ts';
import { officialRuntime } from '../framework/runtime.ts';
import { COLLECTING } from './collect-steps.ts';
import { RESTORING, SAVING } from './snapshot-steps.ts';
import { TELLING } from './trigger-steps.ts';
import {
  ask,
  buildVictim,
  deployVictim,
  gone,
  nameOfMachine,
  type Outcome,
  timesGot,
  VICTIM_MEMORY_MIB,
} from './victim.ts';

/** Room for one machine: each start has to get back what the one before it had. */
const START = { stepped: true, args: ['--memory-budget', String(VICTIM_MEMORY_MIB)] };

const OK: Outcome = { status: 200, body: 'ok' };
/** The head was there, the rest never came. */
const CUT: Outcome = { status: 200 };
/** The connection to the node broke. */
const NONE: Outcome = {};
const problem = (code: string) => ({ status: 502, code });
const MACHINE_DIED = problem('MACHINE_DIED');
const PROGRAM_EXITED = problem('PROGRAM_EXITED');

interface Step {
  step: Failpoint;
  /** What is asked for; see victim.c. */
  path?: string;
  /** What the client of that request sees when the node, or the machine, is killed there. */
  node: Outcome;
  machine?: Outcome;
}

/** The steps of a start and of a request, in their order. */
const STEPS: Step[] = [
  { step: 'memory.reserved', node: NONE },
  { step: 'program.resolved', node: NONE },
  { step: 'runtime.verified', node: NONE },
  { step: 'code.written', node: NONE },
  { step: 'code.renamed', node: NONE },
  { step: 'cage.made', node: NONE },
  { step: 'machine.spawned', node: NONE, machine: MACHINE_DIED },
  { step: 'machine.booted', node: NONE, machine: MACHINE_DIED },
  { step: 'machine.configured', node: NONE, machine: MACHINE_DIED },
  { step: 'machine.ready', node: NONE, machine: MACHINE_DIED },
  { step: 'load.sent', node: NONE, machine: MACHINE_DIED },
  { step: 'machine.loaded', node: NONE, machine: MACHINE_DIED },
  { step: 'request.sent', path: '/hold', node: NONE, machine: MACHINE_DIED },
  { step: 'connection.opened', node: NONE, machine: MACHINE_DIED },
  { step: 'response.started', path: '/part', node: CUT, machine: CUT },
  { step: 'response.ended', node: OK, machine: OK },
];

/** Where the program ends: by what DIE says as it starts, by what is asked for, or by another request meanwhile. */
const ENDS: { step: Failpoint; who: string; path?: string; die?: string; other?: string; outcome: Outcome }[] = [
  { step: 'load.sent', who: 'program', die: 'start', outcome: problem('PROGRAM_LOAD_FAILED') },
  { step: 'machine.loaded', who: 'program', die: 'listen', outcome: PROGRAM_EXITED },
  { step: 'request.sent', who: 'program', path: '/die', outcome: PROGRAM_EXITED },
  { step: 'request.sent', who: 'launcher', path: '/launcher', outcome: PROGRAM_EXITED },
  { step: 'connection.opened', who: 'program', other: '/die', outcome: PROGRAM_EXITED },
  { step: 'response.started', who: 'program', path: '/part', other: '/die', outcome: CUT },
  { step: 'response.ended', who: 'program', other: '/die', outcome: OK },
];
/** A message is accepted step by step before any of that. */
const PUBLISHING: { step: Failpoint; isKept: boolean }[] = [
  { step: 'content.written', isKept: false },
  { step: 'content.committed', isKept: false },
  { step: 'message.checked', isKept: false },
  { step: 'message.recorded', isKept: true },
];

let home: TestHome;
let node: NodeProcess;
let runtime: ItemHash;
let victim: Buffer;

beforeAll(async () => {
  [home, victim] = await Promise.all([makeTestHome(), buildVictim()]);
  node = await home.start(START);
  const { imagePath, manifest } = await officialRuntime('minimal');
  runtime = await publishPath(node, imagePath, manifest);
});
afterAll(async () => home[Symbol.asyncDispose]());

const deploy = (die?: string) => deployVictim(node, { victim, runtime, ...(die ? { die } : {}) });
const request = (program: ItemHash, path: string) => ask(`${node.url}/vm/${program}${path}`);
const owner = () => ({ home: home.home, homeId: node.homeId });

/** A program, and a request to it that is under way and has come to a step. */
async function startedTo(step: string, { path = '/first', die }: { path?: string; die?: string | undefined } = {}) {
  const program = await deploy(die);
  const reached = node.steps.reached(step);
  const outcome = request(program, path);
  const held = await reached;
  if (path === '/hold') await node.logSays(program, `got ${path}`);
  return { program, path, outcome, held };
}

/** A program whose machine is told to go, for another one wants its memory. */
async function haltedFor(die?: string) {
  const first = await deploy(die);
  expect(await request(first, '/')).toEqual(OK);
  return { first, ...(await startedTo('machine.halting')) };
}

/** The node and all that it has started are gone; the next one sweeps what they could not. */
async function killNode(): Promise<void> {
  const machines = await processesNaming(`vmlet-${node.homeId}-`);
  node.child.kill('SIGKILL');
  await once(node.child, 'exit');
  await Promise.all(machines.map(gone));
  node = await home.start(START);
  expect(await tracesOfDead()).toEqual([]);
}

/** Kills the machine, waits for its end, lets the node go on. */
async function killMachine(held: Held): Promise<void> {
  const [machine] = await machinesOf(node.homeId);
  process.kill(machine!, 'SIGKILL');
  await gone(machine!);
  held.release();
}

/** What is there that is not of the node itself, nor of a machine that runs. */
async function tracesOfDead(): Promise<string[]> {
  const traces = await tracesOf(owner());
  const own = new Set([`process ${node.child.pid}`, `socket ${home.home}/owner.sock`]);
  const files = (await unfinishedIn(home.home)).filter((name) => !/^(owner\.sock|node\.json)$/.test(name));
  return [...traces.filter((trace) => !own.has(trace) && !/^cgroup .*vmlet-[0-9a-f]{8}$/.test(trace)), ...files];
}

/** The program is served by whatever runs now, was sent its first request once at most, and nothing else is there. */
async function expectServed(program: ItemHash, { path = '/first' }: { path?: string | undefined } = {}): Promise<void> {
  expect(await request(program, '/')).toEqual(OK);
  const times = await timesGot(home.home, program, path);
  // That one has been with the program, as its log had said.
  if (path === '/hold') expect(times).toBe(1);
  else expect(times).toBeLessThanOrEqual(1);
  const running = await processesNaming(`vmlet-${node.homeId}-`);
  const names = new Set(await Promise.all(running.map(nameOfMachine)));
  expect([...names]).toEqual([expect.stringMatching(`^vmlet-${node.homeId}-`)]);
  const isOfRunning = (trace: string) =>
    running.some((pid) => trace === `process ${pid}`) || [...names].some((name) => trace.endsWith(`/${name}`));
  expect((await tracesOfDead()).filter((trace) => !isOfRunning(trace))).toEqual([]);
}

describe('steps', () => {
  test('steps: are all killed at', () => {
    const steps = [
      ...PUBLISHING,
      ...STEPS,
      ...TELLING,
      { step: 'machine.halting' },
      ...SAVING,
      ...RESTORING,
      ...COLLECTING,
    ];
    const killedAt = steps.map(({ step }) => step);
    expect(killedAt).toEqual(FAILPOINTS.map(({ name }) => name));
  });

  test.each(PUBLISHING)('node killed at $step: what is accepted is kept, and no half of the rest', async (row) => {
    const file = new Blob([randomUUID()]);
    const message = await messageOfFile(node, file);
    const reached = node.steps.reached(row.step);
    const sent = uploadFile(node, message, file).then(
      ({ status }) => status,
      () => undefined,
    );
    await reached;
    await killNode();
    expect(await sent).toBeUndefined();
    const known = await fetch(`${node.url}/api/v0/messages/${message.item_hash}`);
    expect(known.status).toBe(row.isKept ? 200 : 404);
    // Who got no answer sends it again.
    expect((await uploadFile(node, message, file)).status).toBe(200);
  });

  test.each(STEPS)('node killed at $step: nothing is left, and the next node serves the request', async (row) => {
    const { program, outcome } = await startedTo(row.step, row);
    await killNode();
    expect(await outcome).toEqual(row.node);
    await expectServed(program, row);
  });

  test('node killed at machine.halting: nothing is left, and the next node serves both programs', async () => {
    const { first, program, outcome } = await haltedFor();
    await killNode();
    expect(await outcome).toEqual(NONE);
    await expectServed(first);
    await expectServed(program);
  });

  test.each(STEPS.filter(({ machine }) => machine))(
    'machine killed at $step: its client is told, nothing is left, and the next request is served',
    async (row) => {
      const { program, outcome, held } = await startedTo(row.step, row);
      await killMachine(held);
      expect(await outcome).toEqual(row.machine);
      await expectServed(program, row);
    },
  );

  test('machine killed at machine.halting: the program that waits for its memory is served', async () => {
    const { first, program, outcome, held } = await haltedFor();
    await killMachine(held);
    expect(await outcome).toEqual(OK);
    await expectServed(program);
    await expectServed(first);
  });

  test.each(ENDS)('$who ends at $step: its client is told, and the next request is served', async (row) => {
    const { program, outcome, held } = await startedTo(row.step, row);
    if (row.other) expect(await request(program, row.other)).toEqual(PROGRAM_EXITED);
    await Promise.all((await processesNaming(`vmlet-${node.homeId}-`)).map(gone));
    held.release();
    expect(await outcome).toEqual(row.outcome);
    // One that ends whenever it starts is served by nothing; its memory is free for another.
    await expectServed(row.die ? await deploy() : program, row);
  });

  test('program ends at machine.halting by a signal: the program that waits for its memory is served', async () => {
    const { program, outcome, held } = await haltedFor('halt');
    held.release();
    expect(await outcome).toEqual(OK);
    await expectServed(program);
  });

  test('machines that die leave no descriptor open in their node', async () => {
    const program = await deploy();
    const open = async () => {
      const outcome = request(program, '/die');
      expect(await outcome).toEqual(PROGRAM_EXITED);
      return (await openFilesOf(node.child.pid!)).length;
    };
    const before = await open();
    const rounds = 4;
    let after = before;
    for (let round = 0; round < rounds; round++) after = await open();
    // Each machine has several; what is open for a moment, by chance, is less than one of each.
    expect(after - before).toBeLessThan(rounds);
  });

  test('node told to stop after all that ends with 0', async () => {
    node.child.kill('SIGTERM');
    expect(await once(node.child, 'exit')).toEqual([0, null]);
  });
});
