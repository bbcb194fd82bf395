import { rm } from 'node:fs/promises';
import type { ItemHash } from '@vmlet/messages';
import { type Api, createApi } from './api/index.ts';
import { diagnose } from './diagnose.ts';
import { Gateway } from './gateway/index.ts';
import { installFor } from './install-for.ts';
import { openLists } from './ledger/query/index.ts';
import { LedgerViews, openFacets } from './ledger/views/index.ts';
import type { Compute } from './make-compute.ts';
import type { Making, Network } from './make-network.ts';
import { type NodeOptions, uploadLimitsOf } from './node-options.ts';
import { openTriggers } from './open-triggers.ts';
import { isOperatorToken } from './operator-token.ts';
import { type NodeStatus, type OwnerComponents, serveOwner } from './owner/index.ts';
import { FILE_GRACE_MS } from './pins/index.ts';
import { pricesFrom } from './pricing/index.ts';
import { writeFileAtomic } from './store/index.ts';
import { VERSION } from './version.ts';

/** What requests under way get when the node is told to stop, in milliseconds: less than service managers wait. */
const DRAIN_MS = 30_000;
/** Measures the nodes of the reference network, and posts what it found. */
const NETWORK_SCORER = '0x4D52380D3191274a04846c89c069E6C3F2Ed94e4';
const PROGRAM_DOMAIN = 'vm.localhost';

interface MakingEdges extends Making {
  network: Network;
  compute: Compute;
  /** Told by who ends the node. */
  draining: { readonly isDraining: boolean };
}

/** The public listener, the owner's socket, and the record by which commands find them. */
export async function openEdges(options: NodeOptions, made: MakingEdges) {
  const { stack, log, network, compute } = made;
  const { home, ledger, content, operator, blocks, names, stops } = network;
  const triggers = openTriggers(options, { stack, log, database: network.database, ...compute, ledger });
  const { executions, logs, programs, backend, probe, config, metrics, timelines, snapshots, collector } = compute;
  const api = stack.use(await openApi(options, made));
  compute.guestApi.connect(api);
  const programDomain = options.programDomain ?? PROGRAM_DOMAIN;
  const { apiHosts = [], trustForwarded = false } = options;
  const gateway = stack.use(
    new Gateway(
      { programDomain, apiHosts, trustForwarded, drainMs: DRAIN_MS, limits: options.gatewayLimits ?? {} },
      {
        ...{ executions, timelines, metrics, log },
        ...{ findProgram: programs.find, hasName: (label) => names.has(label) },
        ...{ api: api.handler, upgradeApi: api.upgrade, leaveApi: api.leave },
      },
    ),
  );
  const { port } = await gateway.listen(options.listen.host, options.listen.port);
  const url = `http://${urlHost(options.listen.host)}:${port}`;
  const status = statusOf({ url, programDomain, operator, backend: backend.accelerator });
  const { ownerSocket, nodeFile } = home.paths;
  const confinement = async () => backend.cage.findings;
  const { minFreeDiskBytes } = options;
  const snapshotFacts = async () => snapshots?.facts();
  const doctor = () => diagnose({ home: home.dir, minFreeDiskBytes, probe, confinement, snapshots: snapshotFacts });
  const install = installFor({ ledger, content, backend, bootDeadlineMs: config.bootDeadlineMs });
  const urlsOf = programs.urlsOf({ url, programDomain, port });
  const nameUrlsOf = programs.nameUrlsOf({ url, programDomain, port });
  const { runtimes, find: findProgram } = programs;
  const deployments = { names, stops, findProgram, urlsOf, nameUrlsOf };
  const { maxBoots, memoryBudgetMiB } = config;
  const startLimits = { accelerator: backend.accelerator, maxBoots, memoryBudgetMiB };
  const snapshotOf = (itemHash: ItemHash) => (snapshots ? snapshots.stateOf(itemHash) : { state: 'off' as const });
  const imports: OwnerComponents['imports'] = {
    put: (source, given) => content.put(source, given),
    check: (message) => ledger.check(message),
    accept: (message) => ledger.accept(message),
  };
  const collect = (how: { dryRun: boolean }) => collector.run(how);
  const telling = { snapshotOf, collect, logs, status, runtimes, doctor, timelines, startLimits, metrics };
  const owner = { ledger, imports, executions, install, blocks, triggers, ...telling, ...deployments };
  stack.use(await serveOwner(ownerSocket, owner));
  const record = { format: 1, pid: process.pid, url, programDomain, ownerSocket };
  await writeFileAtomic(nodeFile, { bytes: Buffer.from(`${JSON.stringify(record)}\n`), mode: 0o600 });
  stack.defer(() => rm(nodeFile, { force: true }));
  return { url, programDomain, ownerSocket };
}

function openApi(options: NodeOptions, { log, network, draining }: MakingEdges): Promise<Api> {
  const { content, database, disk, pins, ledger, catalogue, aliases, admission, policy, operator } = network;
  return createApi({
    ...{ content, disk, pins, ledger, catalogue, aliases, operator, admission, policy },
    fileGraceMs: options.fileGraceMs ?? FILE_GRACE_MS,
    prices: () => pricesFrom(ledger.aggregate(operator, ['pricing'])[0]?.content),
    isOperatorToken: (token) => isOperatorToken(token, { operator }),
    views: new LedgerViews(database),
    facets: openFacets(database),
    lists: openLists(database),
    metricsSources: [operator, NETWORK_SCORER],
    version: VERSION,
    isDraining: () => draining.isDraining,
    limits: uploadLimitsOf(options),
    onFailure: (failure) => log.error(failure, 'a request to the API failed'),
  });
}

function statusOf(facts: Pick<NodeStatus, 'url' | 'programDomain' | 'operator' | 'backend'>): () => NodeStatus {
  const startedAt = performance.now();
  return () => ({
    ...facts,
    version: VERSION,
    pid: process.pid,
    uptimeSeconds: Math.round((performance.now() - startedAt) / 1000),
    rssMiB: Math.round(process.memoryUsage.rss() / 1024 / 1024),
  });
}

/** A host as a URL has it; what listens everywhere is reached over the loopback. */
function urlHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
}
