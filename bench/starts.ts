import { prepareContenders } from './contenders/index.ts';
import { hotRequests } from './hot.ts';
import { snapshotDisk, storm } from './many.ts';
import { clonePss } from './memory.ts';
import { startBenchNode } from './node.ts';
import { type Part, type PartOptions, ratiosOf } from './part.ts';
import { roundRobin, type Samples } from './round-robin.ts';
import { type Row, rowOf } from './stats.ts';
import { prepareThroughput } from './throughput/index.ts';
import { type StartNodes, vmletStarts } from './vmlet-starts.ts';

const HOT_PER_RUN = 50;
/** A hundred snapshots and some, each of 90 MB at the most. */
const SNAPSHOT_BUDGET_MIB = 16_384;

/** What a row is divided by, of the same run. */
const RATIOS = [
  ['program-level-python', 'runsc-python'],
  ['program-level-fastapi', 'runsc-fastapi'],
  ['program-level-node', 'runsc-node'],
  ['runtime-level-python', 'full-boot-python'],
  ['hot-gateway', 'hot-direct'],
  ['gateway-throughput', 'nginx-throughput'],
  ['gateway-2-processes-throughput', 'nginx-throughput'],
  ['gateway-cpu', 'nginx-cpu'],
] as const;

/** Starts from every temperature and by other means, in turn; hot requests; throughput; memory and disk of clones. */
export const benchStarts: Part = async (options) => {
  await using nodes = await startNodes();
  const rows = [
    ...(await startRows(nodes, options)),
    ...(await cloneRows(nodes, options)),
    ...(await hotRows(options)),
    ...(await throughputRows(options)),
  ];
  return { backend: nodes.node.backend, rows, ratios: ratiosOf(rows, RATIOS) };
};

/** A node that saves machines, and one that does not. */
export async function startNodes({ repository }: { repository?: string } = {}): Promise<StartNodes & AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const given = repository === undefined ? {} : { repository };
  const budget = (mib: number) => ['--snapshot-budget', String(mib)];
  const node = stack.use(await startBenchNode({ ...given, args: budget(SNAPSHOT_BUDGET_MIB) }));
  const booting = stack.use(await startBenchNode({ ...given, args: budget(0) }));
  const owned = stack.move();
  return { node, booting, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function startRows(nodes: StartNodes, options: PartOptions): Promise<Row[]> {
  const { tell, isWanted } = options;
  tell('deploying and saving programs');
  const samplers = await vmletStarts(nodes, isWanted);
  await using contenders = await prepareContenders();
  const others = Object.entries(contenders.rows).filter(([row]) => isWanted(row));
  return rowsOf('ms', await roundRobin({ ...samplers, ...Object.fromEntries(others) }, options));
}

async function cloneRows({ node }: StartNodes, { tell, isWanted }: PartOptions): Promise<Row[]> {
  const rows: Row[] = [];
  if (isWanted('snapshot-disk-mb')) rows.push(...rowsOf('MiB', await snapshotDisk(node)));
  if (isWanted('clone-pss-mb')) {
    tell('clones');
    rows.push(...rowsOf('MiB', await clonePss()));
  }
  if (isWanted('storm-100')) rows.push(...rowsOf('1/s', await storm(node, tell)));
  return rows;
}

async function hotRows({ runs, tell, isWanted }: PartOptions): Promise<Row[]> {
  if (!isWanted('hot-gateway')) return [];
  tell('hot requests');
  const { direct, gateway, bare } = await hotRequests(runs * HOT_PER_RUN);
  return rowsOf('ms', { 'hot-direct': direct, 'hot-gateway': gateway, 'hot-bare-http': bare });
}

async function throughputRows({ runs, tell, isWanted }: PartOptions): Promise<Row[]> {
  if (!isWanted('gateway-throughput')) return [];
  tell('throughput');
  await using throughput = await prepareThroughput();
  const cpuUs: Samples = {};
  const samplers = Object.entries(throughput.rows).map(([name, load]) => {
    const taken: number[] = [];
    cpuUs[`${name}-cpu`] = taken;
    const sample = async () => {
      const found = await load();
      taken.push(found.cpuUs);
      return found.requestsPerSecond;
    };
    return [`${name}-throughput`, sample] as const;
  });
  const rates = await roundRobin(Object.fromEntries(samplers), { runs, tell });
  return [...rowsOf('1/s', rates), ...rowsOf('us', cpuUs)];
}

function rowsOf(unit: string, samples: Samples): Row[] {
  return Object.entries(samples).map(([name, values]) => rowOf(name, unit, values));
}
