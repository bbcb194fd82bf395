/** Entry of the launcher: `node init1.js`, with the control socket's number in VMLET_CONTROL_FD. */
import { Control } from './control.ts';
import type { Frame } from './frames.ts';
import { Launcher } from './launcher.ts';
import { installRandomness } from './randomness.ts';
import { takeHandover } from './switch-node.ts';
import { hasWebGlobals, webGlobals } from './web.ts';

/** Runs the launcher: it takes `load` once `ready` was sent, and ends the process by itself. */
export function main(): void {
  installRandomness();
  const control = Control.fromEnvironment((frame) => launcher.receive(frame));
  const handover = takeHandover();
  const launcher = new Launcher(control, { isSwitched: handover !== undefined });
  preload((process.env.VMLET_PRELOAD ?? '').split(','));
  delete process.env.VMLET_PRELOAD;
  if (handover === undefined) control.send(ready());
  else control.take(handover); // the version before this one has said that it was ready
}

function ready(): Frame {
  return { type: 'ready', launcher: 'node', version: process.versions.node, features: features() };
}

/** Loads what programs are going to use, for a snapshot at `ready`: `fetch`, or names of Node's own modules. */
function preload(names: readonly string[]): void {
  for (const name of names) {
    if (name === 'fetch' && hasWebGlobals()) webGlobals();
    else if (/^[\w:/]+$/.test(name)) requireIfThere(name);
  }
}

function requireIfThere(name: string): void {
  try {
    require(name);
  } catch {
    // A module of another version of Node.
  }
}

function features(): string[] {
  const { typescript } = process.features as { typescript?: unknown };
  return [hasWebGlobals() && 'fetch', typeof typescript === 'string' && 'typescript'].filter(
    (name): name is string => name !== false,
  );
}
