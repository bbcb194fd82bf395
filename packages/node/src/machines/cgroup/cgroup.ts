/** What one machine may use. */
export interface CgroupLimits {
  memoryBytes: number;
  /** Processors, as a number of them. */
  cpus: number;
  /** All others of the node go before it where processors are short. */
  background?: boolean | undefined;
  pids: number;
}

/** The cgroup of one machine, or one in each hierarchy of v1. */
export interface MachineCgroup {
  /** A process enters by writing 0 to each. */
  readonly entries: readonly string[];
  /** Whether the kernel has ended a process in it for its memory. Asked before `remove`. */
  ranOutOfMemory(): Promise<boolean>;
  /** Removes it once its processes are gone. What is still in use is tried again with the next one, and at the end. */
  remove(): Promise<void>;
}

/** The cgroups of one node's machines. Disposing of it removes those of machines that have ended, and its own. */
export interface CgroupTree extends AsyncDisposable {
  readonly version: 'v1' | 'v2';
  /** Makes the cgroup of a machine. @throws Error of the file system */
  create(machine: string, limits: CgroupLimits): Promise<MachineCgroup>;
}
