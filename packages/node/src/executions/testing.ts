import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Duplex, PassThrough } from 'node:stream';
import { Pool } from 'undici';
import { VmletError } from '../errors.ts';
import type { Machine } from '../machines/index.ts';
import type { WakePhases } from '../timelines/index.ts';
import type { OwnerMeter } from './cpu.ts';
import { Execution, type ExecutionComponents, type ExecutionLimits } from './execution.ts';
import { ProgramLog } from './logs.ts';
import type { Awake } from './wake.ts';

/** Allows everything, to everybody. */
export const noMeter: OwnerMeter = {
  reserve: () => ({ [Symbol.dispose]: () => {} }),
  mayUseCpu: () => {},
  charge: () => {},
};

export const PHASES: WakePhases = {
  from: 'boot',
  steps: [
    { name: 'queue', ms: 0 },
    { name: 'prepare', ms: 1 },
    { name: 'boot', ms: 2 },
    { name: 'load', ms: 3 },
  ],
};

/** What an execution sees of a machine, ended by the test. */
export class StubMachine {
  readonly id = 'stub';
  readonly pid = 4242;
  ending = false;
  halts: number[] = [];
  kills = 0;
  readonly #ended = Promise.withResolvers<VmletError>();
  readonly ended = this.#ended.promise;
  /** Told when `halt` or `kill` is called; by default the machine ends then. */
  onEnding: () => void = () => this.end(new VmletError('MACHINE_HALTED', { operands: { machine: this.id } }));

  connect(): Promise<never> {
    return Promise.reject(new TypeError('Cannot connect: this machine is a stub'));
  }

  pauses = 0;
  /** Settles what a resumption waits for. */
  onResume: () => Promise<void> = async () => {};

  async pause(): Promise<void> {
    this.pauses++;
  }

  resume(): Promise<void> {
    return this.onResume();
  }

  async openSession(): Promise<Duplex> {
    return new PassThrough();
  }

  halt(graceMs: number): void {
    this.ending = true;
    this.halts.push(graceMs);
    this.onEnding();
  }

  kill(): void {
    this.ending = true;
    this.kills++;
    this.onEnding();
  }

  end(reason: VmletError): void {
    this.ending = true;
    this.#ended.resolve(reason);
  }
}

/** An execution whose machine is the test's. */
export interface TestExecution extends AsyncDisposable {
  execution: Execution;
  machine: StubMachine;
  log: ProgramLog;
  /** How often its machine was started. */
  readonly wakes: number;
  readonly wakeSignal: AbortSignal;
  /** The machine answers. */
  up(): void;
  /** The machine does not start. */
  fail(error: unknown): void;
  readonly poolDestroyed: boolean;
}

const LIMITS: ExecutionLimits = { maxInFlight: 2, maxQueued: 3, pauseAfterMs: 60_000, idleMs: 60_000, graceMs: 1000 };

/** What a test sets beside the limits. */
interface TestParts extends Partial<Pick<ExecutionComponents, 'claim' | 'mayPause' | 'onIdle' | 'cpu'>> {}

/** What a meter of nothing does. */
export const noCpu: ExecutionComponents['cpu'] = {
  start: () => {},
  adopt: () => {},
  sample: () => {},
  pause: () => {},
  resume: () => {},
  finish: () => {},
  lost: () => {},
};

export async function startExecution(
  limits: Partial<ExecutionLimits> = {},
  parts: TestParts = {},
): Promise<TestExecution> {
  const dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  const machine = new StubMachine();
  const pool = new Pool('http://127.0.0.1:1');
  const awake = Promise.withResolvers<Awake>();
  const log = new ProgramLog(join(dir.path, 'log'));
  const started = { wakes: 0, signal: new AbortController().signal };
  const execution = new Execution({
    limits: { ...LIMITS, ...limits },
    log,
    cpu: noCpu,
    mayGoOn: () => {},
    mayPause: true,
    onIdle: () => {},
    ...parts,
    wake: (signal) => {
      started.wakes++;
      started.signal = signal;
      return awake.promise;
    },
  });
  return {
    execution,
    machine,
    log,
    get wakes() {
      return started.wakes;
    },
    get wakeSignal() {
      return started.signal;
    },
    up: () =>
      awake.resolve({
        machine: machine as Pick<Machine, keyof StubMachine & keyof Machine> as Machine,
        pool,
        connect: () => Promise.reject(new Error('nobody asks for a connection of its own here')),
        phases: PHASES,
      }),
    fail: (error) => awake.reject(error),
    get poolDestroyed() {
      return pool.destroyed;
    },
    async [Symbol.asyncDispose]() {
      awake.reject(new VmletError('NODE_STOPPING'));
      await execution.stop('the test is over');
      await pool.destroy();
      await log.flushed();
      await dir.remove();
    },
  };
}
