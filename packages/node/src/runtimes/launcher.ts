import type { Manifest } from '@vmlet/builder';
import type { ContentOf } from '@vmlet/messages/schema';
import { PLAIN_FILE } from './code-image/image.ts';
import { type ImageDefaults, imageDefaults, isOwnCommand, ownCommandArgs } from './image-command.ts';

/** Which launcher of the boot kit runs a program: by its language, or as an executable. */
export type LauncherKind = 'python' | 'node' | 'exec';

/** How a program is started inside its machine. */
export interface Launch {
  kind: LauncherKind;
  init: InitSource;
  /** The launcher's own command. */
  argv: string[];
  /** For the launcher: `module:attribute`, a module's path, or an executable's path. */
  entrypoint: string;
  interface: 'asgi' | null;
  /** Of an executable. */
  args: string[];
  /** What the runtime's image says of how it is run; undefined where it says nothing. */
  image?: ImageDefaults | undefined;
}

type Code = ContentOf<'PROGRAM'>['code'];

/** Where init0 and the launchers come from: the boot kit, or the runtime's own image. */
export type InitSource = 'kit' | 'image';

/** Where the launchers are inside the guest: on the drive of the boot kit, or where an image brings the same files. */
const LAUNCHERS = { kit: '/run/vmlet/kit/init1', image: '/root/vmlet/init1' };
/** Interpreters where a runtime's manifest does not name one; init0 looks a bare name up on PATH. */
const INTERPRETERS = { python: '/usr/bin/python3', node: 'node' };
const NODE_FILE = /\.([cm]?[jt]s)$/;

/**
 * Chooses how to start a program, by its message alone: the host never looks into code.
 *
 * `interface: binary` is an executable and `asgi` a Python program. Without either, an entrypoint that names a file of
 * JavaScript or TypeScript is for Node.js (`server.js`, `src/app.ts:handler`), one of the form `module:attribute` for
 * Python, and any other names an executable, as in the reference network. Plain code is one file: its entrypoint is a
 * name in a Python module, unless it is an executable. What a runtime's image says of how it is run are defaults; its own
 * command is run where the message says so.
 */
export function launchOf(
  code: Code,
  manifest: Manifest | undefined,
  { variables = {} }: { variables?: Record<string, string> | undefined } = {},
): Launch {
  const kind = languageOf(code);
  const isOwn = isOwnCommand(code);
  return {
    kind,
    init: initOf(manifest),
    argv: launcherArgv(kind, manifest),
    entrypoint: isOwn ? `${LAUNCHERS[initOf(manifest)]}/exec/image-command` : entrypointOf(code, kind),
    interface: code.interface === 'asgi' ? 'asgi' : null,
    args: isOwn ? ownCommandArgs(code, manifest) : (code.args ?? []),
    image: imageDefaults(code, { manifest, variables }),
  };
}

/** The boot kit where a runtime says nothing. One with a distribution's init runs no programs: resolving refuses it. */
export function initOf(manifest: Pick<Manifest, 'init'> | undefined): InitSource {
  return manifest?.init === 'image' ? 'image' : 'kit';
}

/** The command of a launcher: the runtime's interpreter, and the file of the kit or of the image. */
export function launcherArgv(
  kind: LauncherKind,
  manifest: Pick<Manifest, 'init' | 'interpreters'> | undefined,
): string[] {
  const interpreter = (name: 'python' | 'node') => manifest?.interpreters[name]?.path ?? INTERPRETERS[name];
  const launchers = LAUNCHERS[initOf(manifest)];
  switch (kind) {
    case 'python':
      return [interpreter('python'), '-u', `${launchers}/python/init1.py`];
    case 'node':
      return [interpreter('node'), `${launchers}/node/init1.js`];
    case 'exec':
      return [`${launchers}/exec/init1-exec`];
  }
}

/** Which launcher a program's code is for. */
export function languageOf({ interface: declared, encoding, entrypoint }: Code): LauncherKind {
  if (declared === 'binary') return 'exec';
  if (declared === 'asgi' || encoding === 'plain') return 'python';
  const colon = entrypoint.lastIndexOf(':');
  if (NODE_FILE.test(colon < 0 ? entrypoint : entrypoint.slice(0, colon))) return 'node';
  return colon < 0 ? 'exec' : 'python';
}

function entrypointOf({ encoding, entrypoint }: Code, kind: LauncherKind): string {
  if (encoding !== 'plain') return entrypoint;
  if (kind === 'exec') return PLAIN_FILE.executable;
  return entrypoint.includes(':') ? entrypoint : `${PLAIN_FILE.python.replace(/\.py$/, '')}:${entrypoint}`;
}
