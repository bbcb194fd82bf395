import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import type { Context } from '../context.ts';
import { type KnownRuntime, knownRuntimes } from '../known-runtimes.ts';
import { cleanLine, formatBytes, formatTable } from '../terminal-text.ts';

/** `vmlet runtime ls`. */
export function registerRuntimeLs({ program, run }: Cli): void {
  const command = program
    .command('ls')
    .alias('list')
    .summary('list runtimes: recipes, images and what the node has')
    .description(
      'Lists the official recipes, with what was built of them in the cache, and the runtimes that the node has. Works ' +
        'without a node, too.',
    );
  addExamples(command, [
    ['vmlet runtime ls', 'a table'],
    [`vmlet runtime ls --json | jq -r '.runtimes[] | select(.built) | .name'`, 'what needs no building'],
  ]);
  command.action(async (_options: unknown, self: Command) => {
    await run(self, list);
  });
}

async function list(context: Context): Promise<undefined> {
  const { output } = context;
  const runtimes = await knownRuntimes(context);
  if (output.isJson) {
    output.json({ runtimes: runtimes.map(runtimeAnswer) });
    return;
  }
  const rows = runtimes.map((runtime) => [
    cleanLine(runtime.name),
    cleanLine(runtime.version),
    stateOf(runtime),
    runtime.manifest ? formatBytes(runtime.manifest.sizeBytes) : '-',
    runtime.manifest?.fileHash.slice(0, 12) ?? '-',
  ]);
  const [head = '', ...lines] = formatTable([['NAME', 'VERSION', 'STATE', 'SIZE', 'FILE'], ...rows]);
  for (const line of [output.colors.dim(head), ...lines]) output.line(line);
}

/** What is known of a runtime, as JSON has it. */
export function runtimeAnswer({ name, version, recipePath, manifest, imagePath, published }: KnownRuntime) {
  return {
    ...{ name, version, recipe: recipePath ?? null, built: imagePath !== undefined, image: imagePath ?? null },
    ...{ fileHash: manifest?.fileHash ?? null, sizeBytes: manifest?.sizeBytes ?? null, published },
    manifest: manifest ?? null,
  };
}

/** Where a runtime is. */
export function stateOf({ imagePath, published }: KnownRuntime): string {
  const states = [imagePath === undefined ? '' : 'built', published.length === 0 ? '' : 'published'].filter(Boolean);
  return states.join(', ') || 'not built';
}
