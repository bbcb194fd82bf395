import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { freePort } from '../free-port.ts';

/** How a server is started and ended. */
export interface Contender {
  /** The command that serves on this port of the loopback until it is killed. */
  command: (port: number) => Promise<string[]>;
  /** Makes its process end; it is killed otherwise. */
  end?: (port: number) => Promise<void>;
}

/**
 * Starts a server, asks it as soon as it listens, and ends it. In milliseconds from the start of its process to the
 * first byte of its answer, as first-byte.c measures them.
 */
export async function timeToFirstByte(program: string, contender: Contender): Promise<number> {
  const port = await freePort();
  const command = await contender.command(port);
  const child = spawn(program, [String(port), ...command], { stdio: ['pipe', 'pipe', 'pipe', 'pipe'] });
  const exit = once(child, 'exit');
  const said = Promise.all([child.stdout, child.stderr].map((stream) => text(stream)));
  const [line] = await Promise.race([once(child.stdio[3] as Readable, 'data'), exit.then(() => [undefined])]);
  await contender.end?.(port);
  child.stdin.end(contender.end ? 'w' : '');
  await exit;
  const ms = Number(String(line));
  if (line === undefined || !(ms > 0)) throw new Error(`Cannot bench "${command[0]}": ${(await said).join('')}`);
  return ms;
}
