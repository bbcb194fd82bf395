import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';

/** Descriptors that go from this process to another over a Unix socket, which Node.js has no call for. */
export interface Passing {
  /** A socket pair, close-on-exec: the near end is kept, the far end is inherited. Whoever asks closes both. */
  pair(): { near: number; far: number };
  /** Sends descriptors over the near end, in one message. They stay open here. At most 32. @throws Error of the system */
  pass(near: number, descriptors: readonly number[]): void;
}

interface Library {
  pair(two: Int32Array): number;
  pass(all: Int32Array): number;
}

/**
 * Loads the library that `pass.c` is compiled to.
 * @throws Error of the dynamic linker
 */
export function loadPassing(path: string): Passing {
  const module: { exports: Partial<Library> } = { exports: {} };
  process.dlopen(module, path, constants.dlopen.RTLD_NOW);
  const { pair, pass } = module.exports;
  if (!pair || !pass) throw new TypeError(`Cannot load "${path}": it lacks a function, expected pair and pass`);
  return {
    pair: () => {
      const two = new Int32Array(2);
      check(pair(two), 'make a socket pair');
      const [near = -1, far = -1] = two;
      return { near, far };
    },
    pass: (near, descriptors) => check(pass(Int32Array.of(near, ...descriptors)), 'pass descriptors on'),
  };
}

function check(errno: number, what: string): void {
  if (errno === 0) return;
  throw new Error(`Cannot ${what}: ${getSystemErrorName(-errno)}, expected the kernel to do it`);
}
