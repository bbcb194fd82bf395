import type { FileWanted, Priceable, PriceableContent } from './content.ts';
import { type Exact, exactOf, floorToPlaces, formatCost, over, times, ZERO } from './decimal.ts';
import { gpuModelOf } from './gpus.ts';
import type { PriceTable, Product, ProductPrices, Rates } from './price-table.ts';

export type PaymentType = 'hold' | 'superfluid' | 'credit';

/** One line of a price. Costs are decimals of 18 places: tokens to hold, tokens a second, credits a second. */
export interface CostLine {
  readonly type: string;
  readonly name: string;
  readonly cost_hold: string;
  readonly cost_stream: string;
  readonly cost_credit: string;
  /** Of what the line is for; null where it is not for bytes. */
  readonly size_mib: number | null;
}

/** A price. */
export interface Estimate {
  readonly paymentType: PaymentType;
  /** The sum of the lines, by the way of paying. */
  readonly cost: string;
  readonly lines: readonly CostLine[];
  readonly chargedAddress: string;
}

/** What prices depend on beside the content. */
export interface EstimateContext {
  readonly prices: PriceTable;
  /** Bytes of the file that a STORE names; undefined if there is none. */
  readonly bytesOfRef: (ref: string, options: { latest: boolean }) => number | undefined;
  /** Bytes of the file of a STORE; undefined if it is not here. */
  readonly fileBytes?: number | undefined;
}

/** A GPU that nobody has a price for. */
export class GpuUnpriced extends Error {
  override readonly name = 'GpuUnpriced';
}

const MIB = 1n << 20n;
const AN_HOUR = 3600n;
/** In credits an hour, for each line that is paid so. */
const LEAST_CREDITS = floorToPlaces(over({ above: 1n, below: 1n }, AN_HOUR));
/** A STORE that is paid in credits costs as much as one of this size. In MiB. */
const SMALLEST_STORE: Exact = { above: 25n, below: 1n };

/** Units of the eighteenth place, by way of paying. */
interface Cost {
  hold: bigint;
  stream: bigint;
  credit: bigint;
}

interface Line {
  type: string;
  name: string;
  cost: Cost;
  sizeMiB?: Exact | undefined;
}

/**
 * What a message costs on a network with these prices. A file that is not here costs nothing.
 * @throws GpuUnpriced
 */
export function estimate(message: Priceable, context: EstimateContext): Estimate {
  const paymentType = message.content.payment?.type ?? 'hold';
  const lines = message.type === 'STORE' ? storeLines(message.content, context) : machineLines(message, context);
  const way = ({ hold: 'hold', superfluid: 'stream', credit: 'credit' } as const)[paymentType];
  const total = lines.reduce((sum, { cost }) => sum + cost[way], 0n);
  return {
    paymentType,
    cost: formatCost(total),
    lines: lines.map(written),
    chargedAddress: message.content.address,
  };
}

function written({ type, name, cost, sizeMiB }: Line): CostLine {
  return {
    ...{ type, name },
    cost_hold: formatCost(cost.hold),
    cost_stream: formatCost(cost.stream),
    cost_credit: formatCost(cost.credit),
    size_mib: sizeMiB === undefined ? null : Number(sizeMiB.above) / Number(sizeMiB.below),
  };
}

/** What is paid in credits costs some, however small it is. */
function charged<T extends { cost: Cost }>(line: T, { payment }: Priceable['content']): T {
  if (payment?.type !== 'credit' || line.cost.credit >= LEAST_CREDITS) return line;
  return { ...line, cost: { ...line.cost, credit: LEAST_CREDITS } };
}

function storeLines(content: PriceableContent<'STORE'>, { prices, fileBytes }: EstimateContext): Line[] {
  const size = content.estimated_size_mib ? exactOf(content.estimated_size_mib) : inMiB(fileBytes);
  if (size === undefined || size.above === 0n) return [];
  const isSmall = size.above * SMALLEST_STORE.below < SMALLEST_STORE.above * size.below;
  const sizeMiB = isSmall && content.payment?.type === 'credit' ? SMALLEST_STORE : size;
  const cost = costOf(prices.storage.price.storage, sizeMiB);
  return [charged({ type: 'STORAGE', name: 'STORAGE', cost, sizeMiB }, content)];
}

const DISCOUNT = 'EXECUTION_VOLUME_DISCOUNT';

type Machine = Extract<Priceable, { type: 'PROGRAM' | 'INSTANCE' }>;

function machineLines(machine: Machine, context: EstimateContext): Line[] {
  const { prices } = context;
  const gpus = machine.type === 'INSTANCE' ? (machine.content.requirements?.gpu ?? []) : [];
  const product = gpus.length > 0 ? 'instance_gpu_premium' : productOf(machine);
  const units = unitsOf(machine, prices[product]);
  const execution =
    gpus.length > 0
      ? gpuLines(gpus, prices)
      : [charged(executionLine(product, prices, units * factorOf(machine)), machine.content)];
  const { storage } = prices[product].price;
  const volumes = volumesOf(machine, context).map((volume) =>
    charged({ ...volume, cost: costOf(storage, volume.sizeMiB) }, machine.content),
  );
  return [...execution, ...volumes, discountLine(volumes, { storage, freeMiB: units * freeMiBOf(prices[product]) })];
}

function productOf(machine: Machine): Product {
  if (machine.type === 'PROGRAM') return machine.content.on?.persistent === true ? 'program_persistent' : 'program';
  const isConfidential = machine.content.environment?.trusted_execution ?? undefined;
  return isConfidential === undefined ? 'instance' : 'instance_confidential';
}

/** Compute units: as many as processors, or as the memory takes. */
function unitsOf({ content: { resources } }: Machine, { compute_unit: unit }: ProductPrices): bigint {
  return BigInt(Math.max(resources.vcpus, Math.ceil(resources.memory / (unit?.memory_mib ?? 2048))));
}

/** A program on demand that uses the internet costs twice as much. */
function factorOf({ type, content }: Machine): bigint {
  if (type !== 'PROGRAM' || content.on?.persistent === true) return 1n;
  return content.environment?.internet === true ? 2n : 1n;
}

function freeMiBOf({ compute_unit: unit }: ProductPrices): bigint {
  return BigInt(unit?.disk_mib ?? 0);
}

function executionLine(product: Product, prices: PriceTable, units: bigint): Line {
  const rates = prices[product].price.compute_unit ?? { holding: ZERO, payg: ZERO, credit: ZERO };
  return { type: 'EXECUTION', name: product, cost: costOf(rates, { above: units, below: 1n }) };
}

/** A line for each class of GPUs that is wanted. */
function gpuLines(gpus: readonly { device_id: string }[], prices: PriceTable): Line[] {
  const classes = ['instance_gpu_premium', 'instance_gpu_standard'] as const;
  const units = new Map<Product, number>();
  for (const { device_id } of gpus) {
    const model = gpuModelOf(device_id);
    const found = classes
      .map((product) => ({ product, tier: prices[product].tiers.find((tier) => tier.model === model) }))
      .find(({ tier }) => model !== undefined && tier !== undefined);
    if (found?.tier === undefined) throw new GpuUnpriced(device_id);
    units.set(found.product, (units.get(found.product) ?? 0) + found.tier.compute_units);
  }
  return [...units].map(([product, count]) => executionLine(product, prices, BigInt(count)));
}

interface Volume {
  type: string;
  name: string;
  sizeMiB: Exact;
}

/** What takes room; what names a file that is not here is left out, as the network does. */
function volumesOf({ type, content }: Machine, context: EstimateContext): Volume[] {
  const named = (kind: string, file: FileWanted | null | undefined, name = kind): Volume[] => {
    const sizeMiB = file ? sizeOf(file, context) : undefined;
    return sizeMiB === undefined ? [] : [{ type: kind, name, sizeMiB }];
  };
  const own =
    type === 'INSTANCE'
      ? [rootfsOf(content)]
      : [
          ...named('EXECUTION_PROGRAM_VOLUME_CODE', { use_latest: false, ...content.code }),
          ...named('EXECUTION_PROGRAM_VOLUME_RUNTIME', content.runtime),
          ...named('EXECUTION_PROGRAM_VOLUME_DATA', content.data && { use_latest: false, ...content.data }),
        ];
  const further = (content.volumes ?? []).flatMap((volume, index) => {
    const isFile = volume.ref !== undefined && volume.ref !== null;
    // The network's own spelling.
    const kind = isFile ? 'EXECUTION_VOLUME_INMUTABLE' : 'EXECUTION_VOLUME_PERSISTENT';
    const name = `#${index}:${volume.mount || kind}`;
    if (isFile) return named(kind, volume, name);
    return [{ type: kind, name, sizeMiB: exactOf(volume.size_mib ?? 0) }];
  });
  return [...own, ...further];
}

function rootfsOf({ rootfs }: PriceableContent<'INSTANCE'>): Volume {
  const type = 'EXECUTION_INSTANCE_VOLUME_ROOTFS';
  return { type, name: type, sizeMiB: exactOf(rootfs.size_mib) };
}

function sizeOf(file: FileWanted, { bytesOfRef }: EstimateContext): Exact | undefined {
  if (file.estimated_size_mib) return exactOf(file.estimated_size_mib);
  return file.ref ? inMiB(bytesOfRef(file.ref, { latest: file.use_latest ?? true })) : undefined;
}

function inMiB(bytes: number | undefined): Exact | undefined {
  return bytes === undefined ? undefined : { above: BigInt(bytes), below: MIB };
}

/** Takes off what comes with the compute units, and never more than the volumes cost. */
function discountLine(volumes: readonly Line[], { storage, freeMiB }: { storage: Rates; freeMiB: bigint }): Line {
  const most = ratesOf(storage);
  const discount = (way: keyof Cost) => {
    const sum = volumes.reduce((total, { cost }) => total + cost[way], 0n);
    // Rounded down, and this is below zero: the owner gets what is left of the last place.
    const free = -floorToPlaces(times(most[way], -freeMiB));
    return sum < free ? -sum : -free;
  };
  const cost = { hold: discount('hold'), stream: discount('stream'), credit: discount('credit') };
  return { type: DISCOUNT, name: DISCOUNT, cost };
}

function costOf(rates: Rates, amount: Exact): Cost {
  const { hold, stream, credit } = ratesOf(rates);
  const cost = (rate: Exact) => floorToPlaces(times(rate, amount));
  return { hold: cost(hold), stream: cost(stream), credit: cost(credit) };
}

/** Holding is once, the others go by the second. */
function ratesOf({ holding, payg, credit }: Rates): Record<keyof Cost, Exact> {
  return { hold: holding, stream: over(payg, AN_HOUR), credit: over(credit, AN_HOUR) };
}
