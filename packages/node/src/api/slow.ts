import { idleTimer } from '../deadline.ts';

/** What is watched for being too slow. */
export interface Watched {
  /** Bytes that have moved since it began. */
  movedBytes: () => number;
  /** Whether it is not the client that is waited for. */
  isWaiting: () => boolean;
  /** Called once. */
  onSlow: () => void;
}

/**
 * Looks every `slowMs` whether a client has moved `slowBytes` since the last look: one that sends a byte now and then
 * would hold its place for ever. Disposing of it ends the watch.
 */
export function watchSlow({ slowMs, slowBytes }: { slowMs: number; slowBytes: number }, watched: Watched): Disposable {
  let seenBytes = watched.movedBytes();
  const timer = idleTimer(slowMs, () => {
    const movedBytes = watched.movedBytes();
    if (!watched.isWaiting() && movedBytes - seenBytes < slowBytes) return watched.onSlow();
    seenBytes = movedBytes;
    timer.arm();
  });
  timer.arm();
  return timer;
}
