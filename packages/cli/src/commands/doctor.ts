import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import { localNode } from '../client/locate.ts';
import { OwnerClient } from '../client/owner.ts';
import { type Check, checksSchema } from '../client/owner-schema.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import type { Output } from '../output.ts';
import { clean } from '../terminal-text.ts';

/** `vmlet doctor`. */
export function registerDoctor({ program, run }: Cli): void {
  const command = program
    .command('doctor')
    .summary('check this host and its node')
    .description(
      'Checks what vmlet needs: QEMU, acceleration, disk, keys. Asks the running node, or looks by itself where none runs. ' +
        'Each finding comes with its fix.',
    );
  addExamples(command, [
    ['vmlet doctor', 'all findings'],
    [`vmlet doctor --json | jq '.checks[] | select(.status != "ok")'`, 'only what is wrong'],
  ]);
  command.action(async (_options: unknown, self: Command) => {
    await run(self, doctor);
  });
}

async function doctor(context: Context): Promise<undefined> {
  const { output } = context;
  const { checks, source } = await collectChecks(context);
  output.settle();
  if (output.isJson) output.json({ source, checks });
  else showChecks(checks, output);
  const failed = checks.filter((check) => check.status === 'error');
  if (failed.length > 0) {
    const found = `${failed.length} of ${checks.length} checks failed (${failed.map((check) => check.code).join(', ')})`;
    throw new CliError('HOST_UNFIT', { operands: { found } });
  }
}

async function collectChecks({
  paths,
  output,
  signal,
}: Context): Promise<{ checks: Check[]; source: 'node' | 'host' }> {
  const node = await localNode(paths.home);
  if (node?.ownerSocket !== undefined) {
    try {
      return { checks: await new OwnerClient(node.ownerSocket).doctor(signal), source: 'node' };
    } catch (error) {
      // Its file outlives a node that was killed.
      if (!(error instanceof CliError) || error.code !== 'NODE_UNREACHABLE') throw error;
    }
  }
  output.step('Checking this host');
  const { diagnoseHost } = await import('@vmlet/node');
  const { home, cache } = paths;
  const checks = await diagnoseHost({ home, cache, signal });
  return { checks: checksSchema.parse({ checks }).checks, source: 'host' };
}

function showChecks(checks: readonly Check[], output: Output): void {
  const { green, yellow, red } = output.colors;
  const paint = { ok: green, warning: yellow, error: red };
  const width = Math.max(...checks.map((check) => check.title.length), 0);
  for (const { status, title, text, fix } of checks) {
    output.line(`${paint[status](status.padEnd(7))}  ${clean(title).padEnd(width)}  ${clean(text)}`);
    if (fix !== undefined && status !== 'ok') output.line(`${' '.repeat(9)}fix: ${clean(fix)}`);
  }
}
