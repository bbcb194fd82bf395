import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import { PublicApi } from '../client/api.ts';
import { locateNode } from '../client/locate.ts';
import { pickProgram } from '../client/pick-program.ts';
import type { Price } from '../client/price-schema.ts';
import type { Context } from '../context.ts';
import { wholeNumber } from '../option-values.ts';
import { loadSigner } from '../publish/owner-key.ts';
import { prepare } from '../publish/prepare.ts';
import { cleanLine, formatTable } from '../terminal-text.ts';
import { DEPLOY_DEFAULTS } from './deploy.ts';

type Payment = Price['payment_type'];

interface PriceOptions {
  memory: number;
  vcpus: number;
  internet?: true;
  persistent?: true;
  payment: Payment;
}

/** What a price is in, and which column of its lines counts. */
const WAYS: Readonly<Record<Payment, { unit: string; column: 'cost_hold' | 'cost_stream' | 'cost_credit' }>> = {
  hold: { unit: 'tokens held', column: 'cost_hold' },
  superfluid: { unit: 'tokens a second', column: 'cost_stream' },
  credit: { unit: 'credits a second', column: 'cost_credit' },
};
const MIB = 1024 * 1024;
const ITEM_HASH = /^[0-9a-f]{64}$/;

/** `vmlet price`. */
export function registerPrice({ program, run }: Cli): void {
  const { memory, vcpus } = DEPLOY_DEFAULTS;
  const command = program
    .command('price')
    .summary('show what a program costs on the reference network')
    .description(
      'Shows what a message in force, or a folder if it were deployed, costs by the prices of the reference network, or by ' +
        'those that the operator of the node has published. Nothing is charged here. For a folder its files are counted ' +
        'as they are, without packages that are installed at deployment.',
    )
    .argument('<program|folder>', 'name or item_hash of a program, item_hash of a file or instance, or ./folder')
    .option('--memory <MiB>', 'of a folder’s machine', wholeNumber('--memory', { min: 1, max: 1_048_576 }), memory)
    .option('--vcpus <n>', 'of a folder’s machine', wholeNumber('--vcpus', { min: 1, max: 256 }), vcpus)
    .option('--internet', 'with the internet, which doubles a program on demand')
    .option('--persistent', 'a folder’s program that always runs')
    .addOption(
      new Option('--payment <way>', 'how a folder’s program is paid for')
        .choices(['hold', 'superfluid', 'credit'])
        .default('hold'),
    );
  addExamples(command, [
    ['vmlet price ./app', 'before it is deployed'],
    ['vmlet price shop', 'what runs'],
    ['vmlet price shop --json', 'for other programs'],
  ]);
  command.action(async (wanted: string, options: PriceOptions, self: Command) => {
    await run(self, (context) => price(wanted, options, context));
  });
}

async function price(wanted: string, options: PriceOptions, context: Context): Promise<undefined> {
  const { output, signal, cwd } = context;
  const node = await locateNode(context);
  const api = new PublicApi(node.url);
  const path = resolve(cwd, wanted);
  const isFolder = !ITEM_HASH.test(wanted) && (await exists(path, wanted));
  const found = isFolder
    ? await api.estimateProgram(await contentOf(path, options, context), signal)
    : await api.price(await hashOf(wanted, context), signal);
  output.settle();
  if (output.isJson) output.json(found);
  else for (const line of linesOf(found)) output.line(line);
  output.note('Nothing is charged here: these are the prices of the reference network, or of the operator');
  return undefined;
}

/** A folder is named with a slash or a dot, for a program may have the name of one. */
async function exists(path: string, wanted: string): Promise<boolean> {
  if (!/^\.|\//.test(wanted)) return false;
  return (await stat(path).catch(() => undefined)) !== undefined;
}

async function hashOf(wanted: string, context: Context): Promise<string> {
  if (ITEM_HASH.test(wanted)) return wanted;
  return (await pickProgram(wanted, context, 'find a program by its name')).program.itemHash;
}

/** What the price of a folder's program depends on. */
async function contentOf(folder: string, options: PriceOptions, { output, signal, paths }: Context): Promise<object> {
  const { memory, vcpus, internet = false, persistent = false, payment } = options;
  const { files, made } = await prepare({ folder }, { output, signal });
  const sizeBytes = [...files, ...made].reduce((sum, file) => sum + bytesOf(file), 0);
  const { address } = await loadSigner(paths.config, output);
  return {
    address,
    payment: { type: payment },
    resources: { vcpus, memory },
    code: { estimated_size_mib: sizeBytes / MIB },
    runtime: {},
    on: { http: true, persistent },
    environment: { internet },
  };
}

function bytesOf(file: { sizeBytes: number } | { bytes: Uint8Array }): number {
  return 'sizeBytes' in file ? file.sizeBytes : file.bytes.length;
}

function linesOf({ cost, payment_type: payment, detail }: Price): string[] {
  const { unit, column } = WAYS[payment];
  const rows = detail.map((line) => {
    const size = line.size_mib === null ? '' : `${Number(line.size_mib.toFixed(2))} MiB`;
    return [`  ${cleanLine(line.name)}`, shorten(line[column]), size];
  });
  return [`${shorten(cost)} ${unit}`, ...formatTable(rows)];
}

/** Without the zeros that end it. */
function shorten(decimal: string): string {
  return /^-?\d+\.\d+$/.test(decimal) ? decimal.replace(/\.?0+$/, '') : cleanLine(decimal);
}
