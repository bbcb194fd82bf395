/** Goes on in the version of Node.js that a program asks for: the same process, with the same control channel. */
import { closeSync, openSync, readFileSync, unlinkSync, writeSync } from 'fs';
import { tmpdir } from 'os';
import { delimiter, dirname, join } from 'path';
import { type Control, FD_VARIABLE } from './control.ts';
import { Failure } from './failures.ts';
import type { Frame } from './frames.ts';
import { type InstalledNode, installedNodes, runningNode } from './installed-nodes.ts';
import { compareVersions } from './version-range.ts';
import { newestWanted, type WantedNode, wantedNode } from './wanted-node.ts';

/** Names the descriptor of a file with what came over the control channel and was not used before the switch. */
const HANDOVER_VARIABLE = 'VMLET_HANDOVER_FD';
/** Becomes another program, with the descriptors that are named; returns the errno if it fails. `replace.c` is it. */
type Replace = (texts: Buffer, fds: Buffer) => number;

/** What this process was handed by the one before it, which was another version; undefined where it is the first. */
export function takeHandover(): Buffer | undefined {
  const named = process.env[HANDOVER_VARIABLE];
  delete process.env[HANDOVER_VARIABLE];
  if (named === undefined || !/^\d+$/.test(named)) return undefined;
  const bytes = readFileSync(Number(named));
  closeSync(Number(named));
  return bytes;
}

/**
 * Runs the rest in the version that the code in `folder` asks for. Returns if that is the running one, or none fits what
 * `engines` says, which is told in the program's log as npm would tell it.
 * @param frame the `load` that is to be taken there
 * @param isSwitched whether this process is what a first one became
 * @throws Failure NODE_VERSION_UNAVAILABLE
 */
export function useWantedNode(folder: string, control: Control, options: { frame: Frame; isSwitched: boolean }): void {
  const wanted = wantedNode(folder);
  if (wanted === undefined) return;
  const nodes = installedNodes();
  const running = runningNode();
  const found = newestWanted(wanted.text, nodes, running);
  if (found === undefined) {
    const message = `Cannot use Node.js "${wanted.text}": ${describe(wanted, nodes)}`;
    if (wanted.isOrder) throw new Failure('NODE_VERSION_UNAVAILABLE', message);
    process.stderr.write(`vmlet: ${message}; it runs under ${textOf(running)}\n`);
    return;
  }
  if (compareVersions(found.version, running.version) === 0) return;
  if (options.isSwitched) throw unusable(found, `it is Node.js ${textOf(running)}`);
  const errno = becomeNode(found, control, options.frame);
  throw unusable(found, `errno ${errno}`);
}

function describe({ where }: WantedNode, nodes: readonly InstalledNode[]): string {
  const here = [...nodes].sort((a, b) => compareVersions(b.version, a.version)).map(textOf);
  return `${where} asks for it and this runtime has ${here.join(', ')}, expected a version or range that one of them is in`;
}

function textOf({ version }: InstalledNode): string {
  return version.join('.');
}

function unusable({ path, version }: InstalledNode, state: string): Failure {
  const expected = `expected Node.js ${version.join('.')}, as its folder says`;
  return new Failure('NODE_VERSION_UNAVAILABLE', `Cannot run "${path}": ${state}, ${expected}`);
}

/** Returns only if it fails, with the errno. */
function becomeNode({ path }: InstalledNode, control: Control, frame: Frame): number {
  const replace = require(join(__dirname, 'replace.node')) as Replace;
  const handover = handoverFile(control.unread(frame));
  const environment: NodeJS.ProcessEnv = {
    ...process.env,
    // Children of the program that are named by "node" are to be this version too.
    PATH: [dirname(path), process.env.PATH].filter((part) => part).join(delimiter),
    [FD_VARIABLE]: String(control.fd),
    [HANDOVER_VARIABLE]: String(handover),
  };
  const entries = Object.entries(environment).map(([name, value]) => `${name}=${value ?? ''}`);
  const texts = [path, ...process.execArgv, __filename, '', ...entries, ''].join('\0');
  // Node has set them all to be closed; of those that stay open, the list's end is told by a negative number.
  const fds = Int32Array.from([0, 1, 2, control.fd, handover, -1]);
  const errno = replace(Buffer.from(texts), Buffer.from(fds.buffer));
  closeSync(handover);
  return errno;
}

/** A file without a name: only this process and what it becomes can read it. */
function handoverFile(bytes: Buffer): number {
  const path = join(tmpdir(), `vmlet-handover-${process.pid}`);
  const fd = openSync(path, 'wx+', 0o600);
  unlinkSync(path);
  for (let offset = 0; offset < bytes.length; ) offset += writeSync(fd, bytes, offset, bytes.length - offset, offset);
  return fd;
}
