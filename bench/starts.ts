import { prepareContenders } from './contenders/index.ts';
import { hotRequests } from './hot.ts';
import { snapshotDisk, storm } from './many.ts';
import { clonePss } from './memory.ts';
import { type BenchNode, startBenchNode } from './node.ts';
import { type Part, type PartResult, ratiosOf } from './part.ts';
import { roundRobin, type Samples } from './round-robin.ts';
import { type Row, rowOf } from './stats.ts';
import { prepareThroughput, type Throughput } from './throughput/index.ts';
import { vmletStarts } from './vmlet-starts.ts';

const HOT_PER_RUN = 50;

/** What a row is divided by, of the same run. */
const RATIOS: [string, string][] = [
  ['program-level-python', 'runsc-python'],
  ['program-level-fastapi', 'runsc-fastapi'],
  ['program-level-node', 'runsc-node'],
  ['runtime-level-python', 'full-boot-python'],
  ['hot-gateway', 'hot-direct'],
  ['gateway-throughput', 'nginx-throughput'],
  ['gateway-2-processes-throughput', 'nginx-throughput'],
  ['gateway-cpu', 'nginx-cpu'],
];

/** Starts from every temperature and by other means, in turn; hot requests; throughput; memory and disk of clones. */
export const benchStarts: Part = async ({ runs, tell }) => {
  await using node = await startBenchNode();
  // It saves nothing, so each start of it is a boot.
  await using booting = await startBenchNode({ args: ['--snapshot-budget', '0'] });
  const samples = await startsInTurn({ node, booting }, { runs, tell });
  tell('memory, disk and a storm');
  Object.assign(samples, await clonePss(), await snapshotDisk(node), await storm(node, tell));
  tell('hot requests');
  const hot = await hotRequests(runs * HOT_PER_RUN);
  const rows = [
    ...Object.entries(samples).map(([name, values]) => rowOf(name, UNITS[name] ?? 'ms', values)),
    rowOf('hot-direct', 'ms', hot.direct),
    rowOf('hot-gateway', 'ms', hot.gateway),
    ...(await throughputRows({ runs, tell })),
  ];
  return { backend: node.backend, rows, ratios: ratiosOf(rows, RATIOS) } satisfies PartResult;
};

const UNITS: Record<string, string> = {
  'clone-pss-mb': 'MiB',
  'snapshot-disk-mb': 'MiB',
  'spare-burst-12': '1/s',
  'storm-100': '1/s',
};

async function startsInTurn(
  nodes: { node: BenchNode; booting: BenchNode },
  options: { runs: number; tell: (text: string) => void },
): Promise<Samples> {
  await using contenders = await prepareContenders();
  options.tell('deploying');
  const samplers = await vmletStarts(nodes);
  return await roundRobin({ ...samplers, ...contenders.rows }, options);
}

async function throughputRows({ runs, tell }: { runs: number; tell: (text: string) => void }): Promise<Row[]> {
  tell('throughput');
  await using throughput: Throughput = await prepareThroughput();
  const cpuUs: Samples = {};
  const samplers = Object.entries(throughput.rows).map(([name, load]) => {
    const sample = async () => {
      const { requestsPerSecond, cpuUs: us } = await load();
      cpuUs[name] = [...(cpuUs[name] ?? []), us];
      return requestsPerSecond;
    };
    return [name, sample] as const;
  });
  const rates = await roundRobin(Object.fromEntries(samplers), { runs, tell });
  return [
    ...Object.entries(rates).map(([name, values]) => rowOf(`${name}-throughput`, '1/s', values)),
    ...Object.entries(cpuUs).map(([name, values]) => rowOf(`${name}-cpu`, 'us', values)),
  ];
}
