/** What a program and its launcher go through when they are frozen into a snapshot, and when a clone of it wakes. */
import { holdCompilers, releaseCompilers } from './compilers.ts';
import type { Connections } from './connections.ts';
import type { Control } from './control.ts';
import { setVariables } from './environment.ts';
import { Failure, type Phase, stackOf, summaryOf } from './failures.ts';
import type { Frame } from './frames.ts';
import { callHook } from './hooks.ts';
import { readVariables } from './load-request.ts';
import { Prime } from './prime.ts';
import type { Exports } from './program.ts';
import { prepareReseed, reseed } from './randomness.ts';
import { warmUp } from './warm-up.ts';

/** What ran once is compiled, what ran again is warm. */
const REHEARSALS = 2;

/** A program that serves. */
export interface Serving {
  /** There when its module has run to its end, which may be after it has begun to listen. */
  exports: Promise<Exports>;
  port: number;
  /** The launcher's own server, if that serves the program. */
  own: Connections | undefined;
  /** Servers of the program's on that port. */
  servers: readonly Connections[];
}

export class Snapshot {
  readonly prime = new Prime();
  private readonly control: Control;

  constructor(control: Control) {
    this.control = control;
  }

  /** Answers `prepare`: with `prepared`, or with `failed` if the program does not want it. Never rejects. */
  async prepare(serving: Serving | undefined): Promise<void> {
    await this.answer('prepared', 'snapshot', async () => {
      prepareReseed();
      if (serving !== undefined) await callHook('beforeSnapshot', await serving.exports);
      // Without it a snapshot is less warm, not a wrong one.
      await this.warm(serving).catch((error: unknown) => tell(summaryOf(error)));
      rehearse();
      holdCompilers();
    });
  }

  /** Answers `resume`: this process is another one than its siblings when the program is told. Never rejects. */
  async resume(frame: Frame, serving: Serving | undefined): Promise<void> {
    await this.answer('resumed', 'resume', async () => {
      reseed();
      setVariables(readVariables(frame.variables));
      releaseCompilers();
      this.prime.hear(frame);
      if (serving !== undefined) await callHook('afterRestore', await serving.exports);
    });
  }

  private async warm(serving: Serving | undefined): Promise<void> {
    if (serving === undefined) {
      await warmUp(this.prime);
      return;
    }
    const { port, own, servers } = serving;
    if (own !== undefined) await this.prime.ownPath(port, [own]);
    const { VMLET_PRIME_PATH: path } = process.env;
    if (path) await this.prime.namedPath(path, port, own === undefined ? servers : [own]);
  }

  private async answer(type: 'prepared' | 'resumed', phase: Phase, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const failure = error instanceof Failure ? error : unexpected(error, phase);
      if (failure.detail) process.stderr.write(`${failure.detail}\n`);
      tell(`${failure.code}: ${failure.message}`);
      this.control.send({ ...failure.frame(), phase });
      return;
    }
    this.control.send({ type });
  }
}

/** Does what a clone does first, so that it is compiled and in memory by then. */
function rehearse(): void {
  for (let round = 0; round < REHEARSALS; round += 1) {
    reseed();
    setVariables(readVariables({}));
  }
}

function unexpected(error: unknown, phase: Phase): Failure {
  const message = `Cannot go on: ${summaryOf(error)}, expected no failure`;
  return new Failure('LAUNCHER_FAILED', message, { detail: stackOf(error), phase });
}

function tell(text: string): void {
  process.stderr.write(`vmlet: ${text}\n`);
}
