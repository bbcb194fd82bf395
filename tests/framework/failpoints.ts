import type { ChildProcess } from 'node:child_process';

/** A node whose failpoints are armed is let through at each step but for the one that a test waits for. */
export interface StepControl {
  /** Waits until the node is at a step, the next time; it stays there until released or killed. */
  reached(step: string): Promise<Held>;
  /** Those that the node has come by. */
  readonly seen: ReadonlySet<string>;
}

/** A node at a step. */
export interface Held {
  /** Lets it go on; does nothing if it is dead. */
  release(): void;
}

/** Listens to a node that was started with an IPC channel. */
export function stepsOf(child: ChildProcess): StepControl {
  const waiting = new Map<string, (held: Held) => void>();
  const seen = new Set<string>();
  child.on('message', (message) => {
    if (typeof message !== 'object' || !('failpoint' in message) || !('id' in message)) return;
    const { id } = message;
    const step = String(message.failpoint);
    seen.add(step);
    const held = { release: () => release(child, id) };
    const resolve = waiting.get(step);
    if (!resolve) return held.release();
    waiting.delete(step);
    resolve(held);
  });
  return {
    seen,
    reached(step) {
      const { promise, resolve } = Promise.withResolvers<Held>();
      waiting.set(step, resolve);
      return promise;
    },
  };
}

function release(child: ChildProcess, id: unknown): void {
  // It may be killed between this look and the sending: whoever killed it knows.
  if (child.connected) child.send({ release: id }, () => {});
}
