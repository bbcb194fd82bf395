import { rm } from 'node:fs/promises';
import { ensureBootKit } from '@vmlet/guest';
import type { ItemHash } from '@vmlet/messages';
import { BlockList, capsFor, createAdmission, MessageMeter, OwnerUsage } from './admission/index.ts';
import { type Api, createApi } from './api/index.ts';
import { openFileStore } from './content/index.ts';
import { passed } from './deadline.ts';
import { Names, Stops } from './deployments/index.ts';
import { diagnose } from './diagnose.ts';
import { DiskSpace } from './disk-space.ts';
import { VmletError } from './errors.ts';
import { Executions, ProgramLogs } from './executions/index.ts';
import { armedFailpoints } from './failpoint.ts';
import { Gateway } from './gateway/index.ts';
import { Identities } from './guest-api/index.ts';
import { installFor } from './install-for.ts';
import { loadOrCreateKey } from './keys/index.ts';
import type { LedgerEvent } from './ledger/index.ts';
import { openLists } from './ledger/query/index.ts';
import { LedgerViews, openFacets } from './ledger/views/index.ts';
import { openLedgerWithAliases } from './ledger-with-aliases.ts';
import { missing, openCage } from './machines/cage/index.ts';
import { type Backend, probeAccelerator, sweepMachines } from './machines/index.ts';
import { executionsConfig, internetFor, type NodeOptions, uploadLimitsOf } from './node-options.ts';
import { openGuestApi } from './open-guest-api.ts';
import { isOperatorToken } from './operator-token.ts';
import { type NodeStatus, type OwnerComponents, serveOwner } from './owner/index.ts';
import { Collector, FILE_GRACE_MS, FilePins, UnheldMarks } from './pins/index.ts';
import { pricesFrom } from './pricing/index.ts';
import { admitPrograms } from './program-delegates.ts';
import { createPrograms } from './programs.ts';
import { createPublishPolicy } from './publish-policy.ts';
import { CodeImages } from './runtimes/index.ts';
import { openSnapshots, saveInBackground, waitingFor } from './snapshot-making.ts';
import { Starts } from './starts/index.ts';
import { openCache, openDatabase, openHome, writeFileAtomic } from './store/index.ts';
import { createLogger, createNodeMetrics, type Logger, type NodeMetrics } from './telemetry/index.ts';
import { Timelines } from './timelines/index.ts';
import { Triggers } from './triggers/index.ts';
import { Updates } from './updates.ts';
import { VERSION } from './version.ts';
import { Versions } from './versions.ts';

export { diagnoseHost } from './diagnose.ts';
export { toProblem, VmletError } from './errors.ts';
export { initFiles } from './init-files.ts';
export { loadOrCreateKey } from './keys/index.ts';
export type { NodeOptions } from './node-options.ts';
export { pathsOf } from './store/index.ts';
export { VERSION } from './version.ts';

/** What requests under way get when the node is told to stop, in milliseconds: less than service managers wait. */
const DRAIN_MS = 30_000;
const NO_INTERNET =
  'It asks for the internet and has none here: this node gives it to nobody, to its operator only, or cannot confine it';
/** Measures the nodes of the reference network, and posts what it found. */
const NETWORK_SCORER = '0x4D52380D3191274a04846c89c069E6C3F2Ed94e4';
const PROGRAM_DOMAIN = 'vm.localhost';

/** A node that takes requests. Disposing of it answers those under way, stops all machines and frees its home. */
export interface RunningNode extends AsyncDisposable {
  /** Of the API; programs are below `/vm/` there and on hosts of their own. */
  readonly url: string;
  readonly programDomain: string;
  readonly ownerSocket: string;
  /** The address whose key this node's owner holds. */
  readonly operator: string;
  readonly backend: Backend['accelerator'];
  /** Parts of the machines' confinement that are missing here, each with why. */
  readonly unconfined: readonly string[];
}

/**
 * Starts a node: all its parts are made here, and here only, from the lowest up. Whatever fails, what was made before
 * is undone.
 * @throws VmletError such as `FAILPOINT_UNKNOWN`, `HOME_LOCKED`, `PORT_IN_USE`, `QEMU_NOT_STARTED`, `BACKEND_UNUSABLE`
 */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  await using stack = new AsyncDisposableStack();
  const log = createLogger(options.logLevel ?? 'warn');
  const failpoints = armedFailpoints();
  if (failpoints.length > 0) log.warn({ failpoints }, 'failpoints are armed: this node is one of a test');
  const network = await openNetwork(options, { stack, log });
  const compute = await openCompute(options, { stack, log, network });
  const draining = { isDraining: false };
  const edges = await openEdges(options, { stack, log, network, compute, draining });
  // The first that is done when the node ends.
  stack.defer(async () => {
    draining.isDraining = true;
    await passed(options.drainDelayMs ?? 0);
  });
  const owned = stack.move();
  return {
    ...edges,
    operator: network.operator,
    backend: compute.backend.accelerator,
    unconfined: missing(compute.backend.cage.findings),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

interface Making {
  /** Undoes what was made, the last first. */
  stack: AsyncDisposableStack;
  log: Logger;
}

type Network = Awaited<ReturnType<typeof openNetwork>>;
type Compute = Awaited<ReturnType<typeof openCompute>>;

/** Whether a message that was in force is so no longer. */
function isGone(event: LedgerEvent): event is Extract<LedgerEvent, { type: 'forgotten' | 'removed' }> {
  return event.type === 'forgotten' || event.type === 'removed';
}

/** Home, content, messages, and who may use them. */
async function openNetwork(options: NodeOptions, { stack, log }: Making) {
  const home = stack.use(await openHome(options.home));
  const database = stack.adopt(openDatabase(home.paths.database), (opened) => {
    opened.close();
  });
  const disk = new DiskSpace(home.dir, { minFreeBytes: options.minFreeDiskBytes });
  const content = await openFileStore(home.paths.content, { disk });
  await content.sweepTemporary();
  const onListenerError = (err: unknown) => log.error({ err }, 'a ledger listener failed');
  const pins = new FilePins(database);
  const operator = (await loadOrCreateKey(options.config)).signer.address;
  const opened = await openLedgerWithAliases({ database, content, onListenerError, operator }, stack);
  const { ledger } = opened;
  const identities = new Identities({ database, dir: home.paths.programKeys });
  const addresses = createAdmission({ operatorAddress: operator, allow: options.allow });
  const admission = admitPrograms(addresses, { identities, ledger });
  const blocks = await BlockList.open({ path: options.blockList ?? home.paths.blockList });
  const capsOf = capsFor(operator, options.ownerCaps);
  const policy = createPublishPolicy({
    ...{ ledger, content, blocks, capsOf, identities, paths: home.paths },
    meter: new MessageMeter({ capsOf }),
  });
  const names = new Names(database);
  const stops = new Stops(database);
  stack.defer(
    ledger.subscribe((event) => {
      if (!isGone(event) || event.message.type !== 'PROGRAM') return;
      names.forget(event.message.itemHash);
      stops.forget(event.message.itemHash);
    }),
  );
  const rules = { operator, admission, blocks, capsOf, policy };
  return { home, database, disk, content, pins, ...opened, ...rules, names, stops, identities };
}

/** What runs machines here, and the executions of programs. */
async function openCompute(options: NodeOptions, { stack, log, network }: Making & { network: Network }) {
  const { home, content, ledger, aliases, admission, operator, blocks, capsOf, names, stops } = network;
  const cache = await openCache(options.cache);
  const signal = options.signal ?? new AbortController().signal;
  const progress = options.onProgress ? { onProgress: options.onProgress } : {};
  const namePrefix = `vmlet-${home.id}-`;
  const killed = await sweepMachines(namePrefix);
  if (killed.length > 0) log.warn({ killed }, 'killed machines that an earlier node left');
  const cage = stack.use(await openNodeCage(options, { homeId: home.id, cache: cache.dir, log }));
  const kit = await ensureBootKit({ cache: cache.dir, signal, ...progress });
  const probe = () => probeAccelerator(kit, { cache: cache.dir, namePrefix, cage, signal, ...progress });
  const { accelerator, tscKhz } = await probe();
  const egress = { privateNetworks: options.allowPrivateNetwork ?? false };
  const machines = { kit, accelerator, tscKhz, namePrefix, cage, egress };
  const saved = await openSnapshots(options, { backend: machines, dir: home.paths.snapshots, log });
  const config = executionsConfig(options, accelerator);
  const waiting = saved && stack.use(waitingFor(machines, { perShape: config.maxBoots, log }));
  const backend: Backend = { ...machines, waiting };
  const codeImages = new CodeImages(home.paths.code);
  await codeImages.sweepTemporary();
  const logs = new ProgramLogs(home.paths.logs);
  const onError = (err: unknown) => log.error({ err }, 'processor time of owners was not read or written');
  const owners = stack.use(await OwnerUsage.open({ path: home.paths.usage, capsOf, onError }));
  const guestApi = openGuestApi({ ...network, stack, log });
  const starts = new Starts({ backend, saved, hostOf: guestApi.hostOf, log });
  const executions = stack.use(new Executions({ starts, logs, config, owners }));
  const metrics = createNodeMetrics();
  const timelines = new Timelines({ metrics, log });
  addGauges(metrics, { executions, accelerator });
  const versions = stack.use(new Versions({ ledger, isServing: (itemHash) => executions.isServing(itemHash) }));
  const programs = createPrograms({
    ...{ ledger, content, codeImages, admission, blocks, names, stops, versions, operator },
    aliasOf: (ref) => aliases.of(ref),
    mayUseInternet: internetFor(options, { operator, isConfined: cage.findings.egress.stands }),
    onNoInternet: (itemHash) => logs.of(itemHash).platform(NO_INTERNET),
  });
  const { hostOf } = guestApi;
  const saving = saved && { backend, saved, hostOf, starts, executions, programs, ledger, logs, config, log };
  const collector = stack.use(openCollector(options, { network, codeImages, programs, log }));
  const snapshots = saving && stack.use(saveInBackground(saving));
  stack.use(new Updates({ ledger, executions, versions, findVersion: programs.findVersion, logs }));
  stack.defer(blocks.subscribe(() => stopRefused({ executions, programs, log })));
  const unsubscribe = ledger.subscribe((event) => {
    if (!isGone(event) || event.message.type !== 'PROGRAM') return;
    const { itemHash } = event.message;
    timelines.forget(itemHash);
    executions
      .stop(itemHash, 'its owner has removed it')
      .then(() => logs.remove(itemHash))
      .catch((err: unknown) => log.error({ err, itemHash }, 'a forgotten program was not cleaned up'));
  });
  stack.defer(unsubscribe);
  return { backend, probe, config, logs, executions, programs, metrics, timelines, snapshots, guestApi, collector };
}

/** What removes files that nothing needs, from now on. */
function openCollector(
  { fileGraceMs }: NodeOptions,
  made: { network: Network; codeImages: CodeImages; programs: ReturnType<typeof createPrograms>; log: Logger },
): Collector {
  const { network, codeImages, programs, log } = made;
  const { content, pins, ledger, database } = network;
  const collector = new Collector({
    ...{ content, pins, ledger, codeImages, graceMs: fileGraceMs, marks: new UnheldMarks(database) },
    usedFiles: () => new Set(programs.facts().flatMap(({ runtimeHash, codeHash }) => [runtimeHash, codeHash])),
    onError: (err) => log.error({ err }, 'files that nothing needs were not removed'),
  });
  collector.start();
  return collector;
}

/** What confines machines, which is all that this host has for it; or an error, if that is too little. */
async function openNodeCage(
  options: NodeOptions,
  { homeId, cache, log }: { homeId: string; cache: string; log: Logger },
) {
  const signal = options.signal ?? new AbortController().signal;
  const name = `vmlet-${homeId}`;
  const cage = await openCage({ name, homeId, cache, uids: options.machineUids, signal });
  const weaker = missing(cage.findings);
  if (weaker.length === 0) return cage;
  if (options.requireConfinement) {
    await cage[Symbol.asyncDispose]();
    throw new VmletError('CONFINEMENT_MISSING', { operands: { found: `missing are ${weaker.join('; ')}` } });
  }
  log.warn({ missing: weaker }, 'machines are confined less than they could be');
  return cage;
}

/** Figures that are looked up when somebody asks. */
function addGauges(
  { metrics }: NodeMetrics,
  { executions, accelerator }: { executions: Executions; accelerator: Backend['accelerator'] },
): void {
  metrics.info('vmlet_node', { help: 'What this node is.', labels: { version: VERSION, accelerator } });
  metrics.gauge('vmlet_machines', {
    help: 'Programs with a machine, by what that is doing.',
    read: () => {
      const list = executions.list();
      const count = (state: string) => list.filter((one) => one.state === state).length;
      return Executions.states.map((state) => ({ labels: { state }, value: count(state) }));
    },
  });
  metrics.gauge('vmlet_requests_in_flight', {
    help: 'Requests that machines are working on.',
    read: () => [{ value: executions.list().reduce((sum, { inFlight }) => sum + inFlight, 0) }],
  });
}

/** Stops what runs and may no longer. */
function stopRefused({ executions, programs, log }: Pick<Compute, 'executions' | 'programs'> & { log: Logger }): void {
  for (const { itemHash } of executions.list()) {
    try {
      programs.find(itemHash);
    } catch (refusal) {
      const reason = refusal instanceof Error ? refusal.message : String(refusal);
      const failed = (err: unknown) => log.error({ err, itemHash }, 'a blocked program was not stopped');
      executions.stop(itemHash, reason).catch(failed);
    }
  }
}

interface MakingEdges extends Making {
  network: Network;
  compute: Compute;
  /** Told by who ends the node. */
  draining: { readonly isDraining: boolean };
}

/** The public listener, the owner's socket, and the record by which commands find them. */
async function openEdges(options: NodeOptions, made: MakingEdges) {
  const { stack, log, network, compute } = made;
  const { home, ledger, content, operator, blocks, names, stops } = network;
  const triggers = openTriggers(options, made);
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
        ...{ api: api.handler, upgradeApi: api.upgrade },
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

/** Before anything is accepted: what came until then is looked up in the ledger, what comes from then on is told. */
function openTriggers({ triggerRetries: retries }: NodeOptions, made: MakingEdges) {
  const { stack, log, network, compute } = made;
  const { database, ledger } = network;
  const { executions, logs, programs, metrics, timelines } = compute;
  const findProgram = programs.find;
  const shared = { database, ledger, executions, logs, metrics, timelines, log };
  return stack.use(new Triggers({ ...shared, findProgram, retries }));
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
