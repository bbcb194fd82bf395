import { basename, posix, resolve } from 'node:path';
import { encodeCopyRequest } from '@vmlet/guest-protocol/session-requests';
import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import { answersAtOnce, pickProgram } from '../client/pick-program.ts';
import { openSession } from '../client/session.ts';
import type { Context } from '../context.ts';
import type { Copied } from '../copy/entries.ts';
import { receive, sendAll } from '../copy/transfer.ts';
import { CliError } from '../errors.ts';
import { cleanLine, formatBytes } from '../terminal-text.ts';

/** `vmlet cp`. */
export function registerCp({ program, run }: Cli): void {
  const command = program
    .command('cp')
    .summary('copy files and folders to or from the machine of a program')
    .description(
      'Starts the machine if none runs. One of the two is PROGRAM:PATH; a path without a slash at its beginning begins ' +
        'at the root of the machine. A folder that is there gets the copy inside of it; else the copy gets that path. ' +
        'What is copied to a machine is gone with it.',
    )
    .argument('<source>', 'file or folder, here or as PROGRAM:PATH')
    .argument('<target>', 'where it goes');
  addExamples(command, [
    ['vmlet cp data.csv hello:/tmp/', 'send a file'],
    ['vmlet cp hello:/var/log ./log', 'fetch a folder'],
  ]);
  command.action(async (source: string, target: string, _options: unknown, self: Command) => {
    await run(self, (context) => copy(source, target, context));
  });
}

interface Remote {
  program: string;
  path: string;
}

async function copy(source: string, target: string, context: Context): Promise<undefined> {
  const [from, to] = [remoteOf(source), remoteOf(target)];
  if (from && !to) return await fetchFrom(from, target, context);
  if (to && !from) return await sendTo(source, to, context);
  const found = from ? 'both are in a machine' : 'neither is in a machine';
  throw new CliError('COPY_SIDES', { operands: { source, target, found } });
}

async function fetchFrom({ program, path }: Remote, target: string, context: Context): Promise<undefined> {
  const socket = await begin(program, encodeCopyRequest({ from: path }), context);
  using _socket = endOf(socket, context.signal);
  const name = posix.basename(posix.resolve('/', path)) || program;
  const { copied, leftOut } = await receive(socket, { target: resolve(context.cwd, target), name });
  for (const link of leftOut) context.output.warn(`left out "${cleanLine(link)}": a link that leads out of the copy`);
  tell(copied, context);
}

async function sendTo(source: string, { program, path }: Remote, context: Context): Promise<undefined> {
  const at = resolve(context.cwd, source);
  const socket = await begin(program, encodeCopyRequest({ to: path, name: basename(at) || program }), context);
  using _socket = endOf(socket, context.signal);
  tell(await sendAll(socket, at), context);
}

async function begin(wanted: string, request: Buffer, context: Context) {
  const { output, signal } = context;
  const { node, program, shown } = await pickProgram(wanted, context, 'copy files');
  if (!answersAtOnce(program)) output.step(`Starting ${cleanLine(shown)}`);
  const { itemHash } = program;
  const socket = await openSession(node.ownerSocket ?? '', { itemHash, kind: 'copy', request, signal });
  output.step('Copying');
  return socket;
}

/** Breaks a copy off when the command is interrupted, and ends it in any case. */
function endOf(socket: Awaited<ReturnType<typeof begin>>, signal: AbortSignal): Disposable {
  const abort = () => void socket.destroy();
  socket.on('error', abort);
  signal.addEventListener('abort', abort, { once: true });
  return {
    [Symbol.dispose]() {
      signal.removeEventListener('abort', abort);
      socket.destroy();
    },
  };
}

function tell(copied: Copied, { output }: Context): void {
  output.settle();
  if (output.isJson) output.json(copied);
  else output.note(`Copied ${copied.files} files in ${copied.folders} folders, ${formatBytes(copied.bytes)}`);
}

/** `./a:b` is a file here, and so is what begins with a slash. */
function remoteOf(text: string): Remote | undefined {
  const [, program, path] = /^([^:/]+):(.*)$/s.exec(text) ?? [];
  return program === undefined || program === '.' ? undefined : { program, path: path || '/' };
}
