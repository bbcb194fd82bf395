import { createServer, type Server } from 'node:net';

/** User ids of machines: `count` of them from `first` on. */
export interface UidRange {
  first: number;
  count: number;
}

/**
 * Above the users of any host, above what systemd gives to services and containers (1879048191 is its last), and
 * within 31 bits, which some programs take for all there is.
 */
export const DEFAULT_UIDS: UidRange = { first: 2_147_000_000, count: 483_584 };
/** One node takes this many at once, which bounds its machines. */
const BLOCK_UIDS = 512;

/** The user ids that this node has to itself. */
export interface UidBlock extends AsyncDisposable {
  readonly first: number;
  /** An id that no running machine has. @throws Error when all are taken */
  take(): number;
  give(uid: number): void;
}

/**
 * Takes a block of the range that no other node of this host has, whatever its home. The lock is a name in the abstract
 * socket space: the kernel frees it with the process that holds it, kill -9 included, and nothing is left on a disk.
 * @param homeId the same home gets the same block again, where it is free
 * @throws Error if every block is taken
 */
export async function takeUidBlock(homeId: string, range: UidRange = DEFAULT_UIDS): Promise<UidBlock> {
  const blocks = Math.max(1, Math.floor(range.count / BLOCK_UIDS));
  const wanted = Number.parseInt(homeId.slice(0, 8), 16) % blocks || 0;
  for (let tried = 0; tried < blocks; tried++) {
    const first = range.first + ((wanted + tried) % blocks) * BLOCK_UIDS;
    const lock = await lockName(`vmlet-machine-uids-${first}`);
    if (lock) return blockOf(first, { count: Math.min(BLOCK_UIDS, range.count), lock });
  }
  throw new Error(`all user ids from ${range.first} to ${range.first + range.count - 1} are taken by other nodes`);
}

function blockOf(first: number, { count, lock }: { count: number; lock: Server }): UidBlock {
  const taken = new Set<number>();
  // Round and round, so that an id rests as long as it can before another machine gets it.
  let next = 0;
  return {
    first,
    take() {
      for (let tried = 0; tried < count; tried++) {
        const uid = first + next;
        next = (next + 1) % count;
        if (taken.has(uid)) continue;
        taken.add(uid);
        return uid;
      }
      throw new Error(`all ${count} user ids of machines are in use`);
    },
    give: (uid) => void taken.delete(uid),
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => lock.close(() => resolve())),
  };
}

/** Undefined if someone has it. */
function lockName(name: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    );
    server.listen(`\0${name}`, () => resolve(server.unref()));
  });
}
