import { ensureBootKit } from '@vmlet/guest';
import type { ItemHash } from '@vmlet/messages';
import { OwnerUsage } from './admission/index.ts';
import { openCollector } from './collecting.ts';
import { VmletError } from './errors.ts';
import { Executions, ProgramLogs } from './executions/index.ts';
import { GuestApi, ProgramCache } from './guest-api/index.ts';
import { missing, openCage } from './machines/cage/index.ts';
import { type Backend, probeAccelerator, sweepMachines } from './machines/index.ts';
import { isGone, type Making, type Network } from './make-network.ts';
import { executionsConfig, internetFor, type NodeOptions } from './node-options.ts';
import { createPrograms } from './programs.ts';
import { CodeImages } from './runtimes/index.ts';
import { openSnapshots, saveInBackground, waitingFor } from './snapshot-making.ts';
import { Starts } from './starts/index.ts';
import { openCache } from './store/index.ts';
import { createNodeMetrics, type Logger, type NodeMetrics } from './telemetry/index.ts';
import { Timelines } from './timelines/index.ts';
import { Updates } from './updates.ts';
import { VERSION } from './version.ts';
import { Versions } from './versions.ts';

const NO_INTERNET =
  'It asks for the internet and has none here: this node gives it to nobody, to its operator only, or cannot confine it';

/** What `openCompute` made. */
export type Compute = Awaited<ReturnType<typeof openCompute>>;

/** What runs machines here, and the executions of programs. */
export async function openCompute(options: NodeOptions, { stack, log, network }: Making & { network: Network }) {
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
  const guestApi = openGuestApi({ stack, log, network });
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
  const collector = stack.use(openCollector(options, { ...network, codeImages, programs, log }));
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

/** What programs call, with what they keep. */
function openGuestApi({ stack, log, network }: Making & { network: Network }): GuestApi {
  const { home, ledger, identities } = network;
  const cache = stack.use(new ProgramCache({ path: home.paths.programCache }));
  stack.defer(
    ledger.subscribe((event) => {
      if (!isGone(event) || event.message.type !== 'PROGRAM') return;
      const { itemHash } = event.message;
      cache.forget(itemHash);
      identities.forget(itemHash).catch((err: unknown) => log.error({ err, itemHash }, 'a key was not removed'));
    }),
  );
  const ownerOf = (itemHash: ItemHash) => {
    const program = ledger.program(itemHash);
    if (!program) throw new VmletError('PROGRAM_NOT_FOUND', { operands: { ref: itemHash } });
    return program.content.address;
  };
  const onFailure = (failure: object) => log.error(failure, 'a call of a program failed');
  return new GuestApi({ identities, cache, ownerOf, onFailure });
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
