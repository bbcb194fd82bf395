import { resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { resolvePaths } from '@vmlet/host';
import { Command, CommanderError } from 'commander';
import { addExamples, type Cli } from './cli.ts';
import { registerBackup } from './commands/backup.ts';
import { registerBlock } from './commands/block.ts';
import { COMPLETE, registerComplete, registerCompletion } from './commands/completion.ts';
import { registerConfig } from './commands/config.ts';
import { registerCool } from './commands/cool.ts';
import { registerCp } from './commands/cp.ts';
import { registerDemo } from './commands/demo.ts';
import { registerDeploy } from './commands/deploy.ts';
import { registerDoctor } from './commands/doctor.ts';
import { registerExec } from './commands/exec.ts';
import { registerExplain } from './commands/explain.ts';
import { registerForget } from './commands/forget.ts';
import { registerGc } from './commands/gc.ts';
import { registerInstallService } from './commands/install-service.ts';
import { registerInvoke } from './commands/invoke.ts';
import { registerLogs } from './commands/logs.ts';
import { registerLs } from './commands/ls.ts';
import { registerMessage } from './commands/message.ts';
import { registerMetrics } from './commands/metrics.ts';
import { registerName } from './commands/name.ts';
import { registerPrice } from './commands/price.ts';
import { registerRestart } from './commands/restart.ts';
import { registerRestore } from './commands/restore.ts';
import { registerRm } from './commands/rm.ts';
import { registerRollback } from './commands/rollback.ts';
import { registerRuntime } from './commands/runtime.ts';
import { registerStart } from './commands/start.ts';
import { registerStop } from './commands/stop.ts';
import { registerTop } from './commands/top.ts';
import { registerTriggers } from './commands/triggers.ts';
import { registerUp } from './commands/up.ts';
import type { Context } from './context.ts';
import { CliError } from './errors.ts';
import { EXIT_CODES } from './exit-codes.ts';
import { failureOf } from './failure.ts';
import { Output, OutputClosed, type OutputStream } from './output.ts';
import { applySettings, readSettings } from './settings.ts';
import { isShown, usageError } from './usage.ts';
import { VERSION } from './version.ts';

/** What a run of `vmlet` touches of its process. */
export interface Io {
  stdout: OutputStream;
  stderr: OutputStream;
  stdin: Readable & { readonly isTTY?: boolean };
  env: NodeJS.ProcessEnv;
  cwd: string;
  /** Aborts when the process is told to end. */
  signal: AbortSignal;
}

interface GlobalOptions {
  json?: boolean;
  color: boolean;
  node?: string;
  home?: string;
}

/**
 * Runs `vmlet` once.
 * @param args without the interpreter and the script
 * @returns the exit status, one of `EXIT_CODES` or that of a command in a machine; whatever goes wrong has been told on stderr
 */
export async function main(args: readonly string[], io: Io): Promise<number> {
  let exitCode: number = EXIT_CODES.ok;
  // Known before the command line is understood: that it is not is told in the same form.
  const isJson = args.slice(0, args.includes('--') ? args.indexOf('--') : args.length).includes('--json');
  let output = new Output({ ...io, json: isJson, color: wantsColor(io.env, !args.includes('--no-color')) });
  const program = createProgram(io);
  const cli: Cli = {
    program,
    async run(command, body) {
      const context = contextOf(command.optsWithGlobals<GlobalOptions>(), io);
      output = context.output;
      exitCode = (await body(context)) ?? EXIT_CODES.ok;
    },
  };
  for (const register of COMMANDS) register(cli);
  program.hook('preAction', async (_program, command) => {
    // What is wrong in the file is mended with `vmlet config`, which must work then.
    if (command.parent?.name() === 'config' || command.name() === COMPLETE) return;
    const { config } = resolvePaths(io.env);
    const settings = await readSettings(config);
    applySettings(command, { settings, env: io.env, config });
    if (settings.node !== undefined && !io.env.VMLET_NODE && program.getOptionValue('node') === undefined) {
      program.setOptionValueWithSource('node', settings.node, 'config');
    }
  });
  try {
    if (args.length === 0) program.outputHelp();
    else await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError && isShown(error)) return EXIT_CODES.ok;
    // What an interrupted wait ends with is of no interest beside what interrupted it.
    const { aborted, reason } = io.signal;
    if (aborted && reason instanceof OutputClosed) return EXIT_CODES.ok;
    const told = error instanceof CommanderError ? usageError(error, program) : error;
    const failure = failureOf(aborted ? reason : told);
    output.failure(failure);
    return failure.exitCode;
  }
}

const COMMANDS = [
  registerUp,
  registerDeploy,
  registerInvoke,
  registerLs,
  registerLogs,
  registerTop,
  registerTriggers,
  registerExplain,
  registerPrice,
  registerMetrics,
  registerExec,
  registerCp,
  registerStop,
  registerStart,
  registerRestart,
  registerRollback,
  registerName,
  registerRm,
  registerBlock,
  registerRuntime,
  registerMessage,
  registerForget,
  registerCool,
  registerConfig,
  registerGc,
  registerBackup,
  registerRestore,
  registerInstallService,
  registerCompletion,
  registerComplete,
  registerDoctor,
  registerDemo,
];

function createProgram({ stdout }: Io): Command {
  const program = new Command('vmlet')
    .description('Runs programs on demand, each in its own microVM.')
    .version(VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help, with examples')
    .helpCommand('help [command]', 'show help of a command')
    .option('--json', 'machine-readable: JSON on stdout, errors as JSON on stderr')
    .option('--no-color', 'no colours; NO_COLOR does the same')
    .option('--node <url>', 'node to talk to (default: VMLET_NODE, else `config get node`, else the one of the home)')
    .option('--home <folder>', 'home of the node (default: VMLET_HOME, else ~/.local/state/vmlet)')
    .showSuggestionAfterError(true)
    .exitOverride()
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
    // Errors are told in one voice, by `main`.
    .configureOutput({
      writeOut: (text) => void stdout.write(text),
      // A group of commands without one of them shows its help.
      writeErr: (text) => void stdout.write(text),
      outputError: () => {},
    });
  return addExamples(program, [
    ['vmlet demo', 'see it work: builds what is missing, deploys an example, calls it'],
    ['vmlet up', 'run a node; the following are for another terminal'],
    ['vmlet deploy ./app', 'publish a folder as a program'],
    ['vmlet invoke app /path', 'call it'],
  ]);
}

function contextOf({ json = false, color, node, home }: GlobalOptions, io: Io): Context {
  const { env, cwd, stdin, signal } = io;
  const paths = resolvePaths(env);
  return {
    output: new Output({ ...io, json, color: wantsColor(env, color) }),
    paths: home === undefined ? paths : { ...paths, home: resolve(cwd, home) },
    nodeUrl: node ?? (env.VMLET_NODE || undefined),
    ...{ env, cwd, stdin, signal },
  };
}

function wantsColor(env: NodeJS.ProcessEnv, color: boolean): boolean {
  return color && !env.NO_COLOR && env.TERM !== 'dumb';
}

/** The one place that listens to the process: the first signal ends in good order, the second at once. */
async function runProcess(): Promise<void> {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(EXIT_CODES.interrupted);
      controller.abort(new CliError('INTERRUPTED', { operands: { signal } }));
    });
  }
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    const found = error.code ?? error.message;
    const failed = new CliError('OUTPUT_FAILED', { operands: { found }, cause: error });
    // It may come when all is done otherwise.
    if (error.code !== 'EPIPE') process.exitCode = failed.entry.exitCode;
    controller.abort(error.code === 'EPIPE' ? new OutputClosed() : failed);
  });
  const { stdout, stderr, stdin, env } = process;
  const exitCode = await main(process.argv.slice(2), {
    ...{ stdout, stderr, stdin, env },
    cwd: process.cwd(),
    signal: controller.signal,
  });
  process.exitCode ??= exitCode;
}

if (import.meta.main) await runProcess();
