import type { Manifest } from '@vmlet/builder';
import type { ContentOf } from '@vmlet/messages/schema';

type Code = ContentOf<'PROGRAM'>['code'];

/** What a runtime's image says of how it is run. */
export interface ImageDefaults {
  /** Below a program's own variables. */
  env: Record<string, string>;
  /** Where its own command listens; undefined for other programs, which are told a port. */
  port?: number | undefined;
}

/**
 * The entrypoint of a program that is its runtime's own command, with `interface: binary`. The message format wants one
 * that is not empty, and this one names no file anywhere.
 */
const OWN_COMMAND = '.';
/** Names that a node gives their values. */
const RESERVED = /^(PORT|VMLET|VMLET_.*|ALEPH_.*)$/;
/** Where servers listen, by habit, when an image exposes several: the likelier first. */
const USUAL_PORTS = [8080, 80, 8000, 3000, 5000];
/** As many as a frame of the control channel takes, less what goes before a command. */
const MAX_WORDS = 62;

/** Whether a program is what its runtime's image starts by itself. */
export function isOwnCommand(code: Code): boolean {
  return code.interface === 'binary' && code.entrypoint === OWN_COMMAND;
}

/**
 * The words of that command as Docker has them: the image's entrypoint, and behind it the program's arguments, or the
 * image's own where there are none. Undefined where it has none, or too many.
 */
function commandOf(code: Code, { config }: Pick<Manifest, 'config'>): string[] | undefined {
  const args = code.args ?? [];
  const command = [...(config?.entrypoint ?? []), ...(args.length > 0 ? args : (config?.cmd ?? []))];
  return command.length > 0 && command.length <= MAX_WORDS ? command : undefined;
}

/** Why a program cannot be its runtime's own command, in words; undefined where it can, or is none. */
export function commandFault(code: Code, manifest: Manifest | undefined): string | undefined {
  if (!isOwnCommand(code) || commandOf(code, manifest ?? {}) !== undefined) return undefined;
  return `the command of its runtime's image, which names none, or one of more than ${MAX_WORDS} words`;
}

/** For `image-command` of the guest kit: where to start, as whom, and what. */
export function ownCommandArgs(code: Code, manifest: Manifest | undefined): string[] {
  const { workdir = '/', user = '' } = manifest?.config ?? {};
  return [workdir, user, ...(commandOf(code, manifest ?? {}) ?? [])];
}

/** Undefined where a runtime is no image of another world. */
export function imageDefaults(
  code: Code,
  { manifest, variables }: { manifest: Manifest | undefined; variables: Readonly<Record<string, string>> },
): ImageDefaults | undefined {
  const config = manifest?.config;
  if (config === undefined) return undefined;
  const env = Object.fromEntries(Object.entries(config.env ?? {}).filter(([name]) => !RESERVED.test(name)));
  return isOwnCommand(code) ? { env, port: portOf(config, variables) } : { env };
}

/** What the program's or the image's own `PORT` says, else what the image exposes; undefined where neither tells. */
function portOf(
  { env, exposedPorts = [] }: NonNullable<Manifest['config']>,
  variables: Readonly<Record<string, string>>,
): number | undefined {
  const told = [variables.PORT, env?.PORT].map(Number).find(isPort);
  const exposed = exposedPorts.filter((port) => port.endsWith('/tcp')).map((port) => Number.parseInt(port, 10));
  return told ?? USUAL_PORTS.find((port) => exposed.includes(port)) ?? exposed.filter(isPort).sort((a, b) => a - b)[0];
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port > 0 && port < 65_536;
}
