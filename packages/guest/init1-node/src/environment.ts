/** What a program finds around itself: variables, working folder, and itself as the process's main module. */
import { FD_VARIABLE } from './control.ts';
import type { LoadRequest } from './load-request.ts';

/** Where the program's code is mounted. */
export function codeFolder(): string {
  return process.env.VMLET_CODE_DIR || '/opt/code';
}

/**
 * Sets the program's variables. They override all defaults but PORT, which is the one that the host reaches; the control
 * channel is not theirs.
 */
export function applyVariables({ variables, port }: LoadRequest): void {
  setVariables(variables);
  process.env.PORT = String(port);
}

/** Sets variables of a program; those that the platform needs stay as they are. */
export function setVariables(variables: ReadonlyMap<string, string>): void {
  for (const [name, value] of variables) {
    if (name !== FD_VARIABLE && name !== 'PORT') process.env[name] = value;
  }
  if (variables.has('NODE_PATH')) moduleInternals().initPaths();
}

/** Makes the code folder the working folder; a machine without code stays where it is. */
export function enterCodeFolder(): void {
  try {
    process.chdir(codeFolder());
  } catch {
    // The entrypoint is then found in the root filesystem, or reported as missing by its whole path.
  }
}

/** Lets the program look like what Node was started with: the launcher leaves argv and the module cache. */
export function becomeMain(path: string): void {
  process.argv.splice(1, process.argv.length, path);
  // As under Node itself: undefined for an ES module; `_load` sets it for CommonJS.
  Object.assign(process, { mainModule: undefined });
  delete require.cache[__filename];
}

interface Internals {
  /** Loads a CommonJS module as the main one, so that `require.main === module` holds in it; returns its exports. */
  loadMain(path: string): unknown;
  /** Reads NODE_PATH again. */
  initPaths(): void;
}

/** Two functions of Node that have no public name; process managers have long relied on the same two. */
export function moduleInternals(): Internals {
  const internal: object = require('module');
  const { _load, _initPaths } = internal as {
    _load(path: string, parent: null, isMain: boolean): unknown;
    _initPaths(): void;
  };
  return { loadMain: (path) => _load.call(internal, path, null, true), initPaths: () => _initPaths.call(internal) };
}
