import { mkdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeFileAtomic } from '@vmlet/host';
import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { unitFile } from '../service/unit.ts';
import { addUpOptions } from './up.ts';

const COMMAND = fileURLToPath(new URL('../../bin/vmlet', import.meta.url));
const UNIT = 'vmlet.service';

interface InstallOptions {
  user?: boolean;
  system?: boolean;
  dryRun?: boolean;
  /** Of all commands. */
  home?: string;
}

/** `vmlet install-service`. */
export function registerInstallService({ program, run }: Cli): void {
  const command = program
    .command('install-service')
    .summary('write a hardened systemd unit for a node')
    .description(
      'Writes a unit of systemd that runs `vmlet up` with the options given here: with --system for the whole machine, ' +
        'its state in /var/lib/vmlet, as root with the few capabilities that confining machines takes; with --user for ' +
        'one user, without a privilege. It is not started: what to do then is told.',
    )
    .option('--system', 'a service of the machine (default for root)')
    .option('--user', 'a service of this user (default for others)')
    .option('--dry-run', 'print the unit and write nothing');
  addUpOptions(command);
  const args: string[] = [];
  for (const option of command.options.filter(({ long }) => !/^--(system|user|dry-run)$/.test(long ?? ''))) {
    // Told as it was typed, when the option has taken it.
    command.on(`option:${option.name()}`, (value?: string | null) => {
      args.push(option.long ?? '', ...(typeof value === 'string' && value !== '' ? [value] : []));
    });
  }
  addExamples(command, [
    ['sudo vmlet install-service --listen 127.0.0.1:4020', 'for the machine'],
    ['vmlet install-service --user --idle 1m', 'for yourself'],
    [
      'vmlet install-service --system --dry-run | systemd-analyze security --offline=true /dev/stdin',
      'how exposed it is',
    ],
  ]);
  command.action(async (_options: unknown, self: Command) => {
    await run(self, (context) => install(self.optsWithGlobals<InstallOptions>(), args, context));
  });
}

async function install(options: InstallOptions, args: readonly string[], context: Context): Promise<undefined> {
  const { output, cwd } = context;
  const scope = scopeOf(options);
  const home = options.home === undefined ? undefined : resolve(cwd, options.home);
  const unit = unitFile({ scope, command: COMMAND, args, home });
  const path = pathOf(scope, context);
  if (!options.dryRun) await write(path, unit);
  if (output.isJson) {
    output.json({ scope, path, written: !options.dryRun, unit });
    return;
  }
  if (options.dryRun) {
    output.line(unit.trimEnd());
    output.note(`It belongs to ${path}`);
    return;
  }
  output.line(path);
  const manager = scope === 'system' ? 'systemctl' : 'systemctl --user';
  output.note(`Start it, now and at each boot: ${manager} daemon-reload && ${manager} enable --now vmlet`);
  if (scope === 'user') output.note('Without a login it runs only after: loginctl enable-linger');
}

/** @throws CliError `USAGE` where both are given */
function scopeOf({ user = false, system = false }: InstallOptions): 'system' | 'user' {
  if (user && system) {
    const operands = { found: 'both --user and --system', help: 'vmlet install-service --help' };
    throw new CliError('USAGE', { operands });
  }
  if (user || system) return user ? 'user' : 'system';
  return process.getuid?.() === 0 ? 'system' : 'user';
}

function pathOf(scope: 'system' | 'user', { env }: Context): string {
  if (scope === 'system') return join('/etc/systemd/system', UNIT);
  return join(env.XDG_CONFIG_HOME || join(env.HOME ?? '', '.config'), 'systemd/user', UNIT);
}

async function write(path: string, unit: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFileAtomic(path, unit);
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    throw new CliError('SERVICE_NOT_WRITTEN', { operands: { path, found }, cause: error });
  }
}
