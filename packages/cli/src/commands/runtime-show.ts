import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import type { Context } from '../context.ts';
import { findKnownRuntime, type KnownRuntime } from '../known-runtimes.ts';
import { cleanLine, formatBytes, formatTable } from '../terminal-text.ts';
import { runtimeAnswer, stateOf } from './runtime-ls.ts';

/** `vmlet runtime show`. */
export function registerRuntimeShow({ program, run }: Cli): void {
  const command = program
    .command('show')
    .summary('show what is in a runtime')
    .description('Shows the manifest of a runtime: its system, interpreters, size and hashes.')
    .argument('<runtime>', 'name, item_hash or file_hash, or the folder of a recipe');
  addExamples(command, [
    ['vmlet runtime show debian-12-python', 'by name'],
    ['vmlet runtime show ./runtimes/mine', 'of a recipe: whether it is built, and what came of it'],
  ]);
  command.action(async (wanted: string, _options: unknown, self: Command) => {
    await run(self, (context) => show(wanted, context));
  });
}

async function show(wanted: string, context: Context): Promise<undefined> {
  const { output } = context;
  const runtime = await findKnownRuntime(wanted, context);
  if (output.isJson) output.json(runtimeAnswer(runtime));
  else for (const line of formatTable(rowsOf(runtime))) output.line(line);
  if (runtime.manifest === undefined && !output.isJson) output.note(`Build it with: vmlet runtime build ${wanted}`);
}

function rowsOf(runtime: KnownRuntime): string[][] {
  const { name, version, manifest, recipePath, imagePath, published } = runtime;
  const row = (key: string, value: string | undefined) => (value === undefined ? [] : [[key, cleanLine(value)]]);
  return [
    ...row('name', name),
    ...row('version', version),
    ...row('state', stateOf(runtime)),
    ...row('description', manifest?.description),
    ...row('system', manifest?.os),
    ...Object.entries(manifest?.interpreters ?? {}).flatMap(([language, { path, version: one, others = [] }]) =>
      row(language, [{ path, version: one }, ...others].map((it) => `${it.version} (${it.path})`).join(', ')),
    ),
    ...row('filesystem', manifest?.filesystem),
    ...row('init', manifest?.init),
    ...row('size', manifest && formatBytes(manifest.sizeBytes)),
    ...row('file_hash', manifest?.fileHash),
    ...row('image', imagePath),
    ...row('recipe', recipePath),
    ...published.flatMap(({ itemHash, address }) => row('item_hash', `${itemHash} of ${address}`)),
  ];
}
