import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where vmlet keeps things, by the XDG base directory rules with vmlet's own overrides. */
export interface Paths {
  /** State of one node: `$VMLET_HOME`. */
  home: string;
  /** Rebuildable things that nodes and tests share: `$VMLET_CACHE`. */
  cache: string;
  /** Keys: `$XDG_CONFIG_HOME/vmlet`. */
  config: string;
}

/** Resolves all three folders from the environment; creates none. */
export function resolvePaths(env: NodeJS.ProcessEnv = process.env): Paths {
  const home = env.HOME ?? homedir();
  const xdg = (name: string, fallback: string) => join(env[name] || join(home, fallback), 'vmlet');
  return {
    home: env.VMLET_HOME || xdg('XDG_STATE_HOME', '.local/state'),
    cache: env.VMLET_CACHE || xdg('XDG_CACHE_HOME', '.cache'),
    config: env.VMLET_CONFIG || xdg('XDG_CONFIG_HOME', '.config'),
  };
}
