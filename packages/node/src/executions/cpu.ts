import { readFileSync } from 'node:fs';

/** Linux counts in these for every program that asks, whatever the kernel's own tick is (USER_HZ). In a second. */
const TICKS_PER_SECOND = 100;
/** A machine that answers fast is looked at no more often than this, in milliseconds. */
const SAMPLE_MS = 1000;
/** Processes of one machine that are counted: QEMU, and what confines it. */
const MAX_PROCESSES = 64;

/** What the owners of programs may have; the rules are somebody else's. */
export interface OwnerMeter {
  /** Counts one more machine until disposed of. @throws VmletError if it is one too many */
  reserve(owner: string, memoryMiB: number): Disposable;
  /** @throws VmletError if the owner has no processor time left */
  mayUseCpu(owner: string): void;
  charge(owner: string, cpuSeconds: number): void;
}

/** Charges an owner for the processor time of one machine. No timer: it looks when a request ends, and at the end. */
export class CpuMeter {
  readonly #charge: (cpuSeconds: number) => void;
  readonly #vcpus: number;
  #pid: number | undefined;
  #charged = 0;
  #sampledMs = 0;
  #finished = true;
  #paused = false;

  constructor(charge: (cpuSeconds: number) => void, vcpus: number) {
    this.#charge = charge;
    this.#vcpus = vcpus;
  }

  /** A machine is being started. */
  begin(): void {
    this.#finished = false;
    this.#sampledMs = performance.now();
  }

  /** The machine runs; what its start took is charged with the first look. */
  start(pid: number): void {
    this.#pid = pid;
    this.#look();
  }

  /** A machine that was there before anybody asked for it: what it has used until now is not charged. */
  adopt(pid: number): void {
    this.#pid = pid;
    this.#charged = cpuSecondsOf(pid) ?? 0;
    this.begin();
  }

  /** The machine is about to have its processors stopped. */
  pause(): void {
    this.#look();
    this.#paused = true;
  }

  /** They go on: what counts as unseen begins now. */
  resume(): void {
    this.#paused = false;
    this.#sampledMs = performance.now();
  }

  /** A request has ended. */
  sample(): void {
    if (performance.now() - this.#sampledMs >= SAMPLE_MS) this.#look();
  }

  /** The last look, at a machine that is about to be halted. */
  finish(): void {
    this.#look();
    this.#finished = true;
  }

  /**
   * The machine has ended by itself, or did not start, and its count with it: it is charged with the most it can have
   * used since the last look, or a program would end its machine before each look.
   */
  lost(): void {
    if (this.#finished) return;
    this.#finished = true;
    if (!this.#paused) this.#charge(((performance.now() - this.#sampledMs) / 1000) * this.#vcpus);
  }

  #look(): void {
    const used = this.#pid === undefined ? undefined : cpuSecondsOf(this.#pid);
    if (used === undefined) return;
    this.#sampledMs = performance.now();
    this.#charge(Math.max(0, used - this.#charged));
    this.#charged = Math.max(this.#charged, used);
  }
}

/** Processor time of a process and those below it, ended children included; undefined if it is gone. In seconds. */
export function cpuSecondsOf(pid: number): number | undefined {
  let ticks: number | undefined;
  const open = [pid];
  for (let seen = 0; open.length > 0 && seen < MAX_PROCESSES; seen++) {
    const one = open.pop();
    const stat = readProc(`/proc/${one}/stat`);
    if (stat === undefined) continue;
    // The name in parentheses may hold anything; user, system, and both of children that were waited for.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    ticks = (ticks ?? 0) + fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
    open.push(...(readProc(`/proc/${one}/task/${one}/children`) ?? '').split(' ').filter(Boolean).map(Number));
  }
  return ticks === undefined ? undefined : ticks / TICKS_PER_SECOND;
}

function readProc(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    // It has ended meanwhile.
    return undefined;
  }
}
