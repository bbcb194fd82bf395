import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Priceable, type PriceableType, priceableSchemaOf } from './content.ts';
import { addCosts } from './decimal.ts';
import { type EstimateContext, estimate, GpuUnpriced } from './estimate.ts';
import { pricesFrom, referencePrices } from './price-table.ts';

const ADDRESS = '0xB68B9D4f3771c246233823ed1D3Add451055F9Ef';
const REF = 'a'.repeat(64);
const MIB = 1024 * 1024;
const ZERO = '0.000000000000000000';

function read(type: PriceableType, content: object): Priceable {
  const schema = priceableSchemaOf(type);
  if (schema === undefined) throw new TypeError(`Cannot read a ${type}: it has no price`);
  return schema.parse({ address: ADDRESS, ...content });
}

function price(type: PriceableType, content: object, context: Partial<EstimateContext> = {}) {
  return estimate(read(type, content), { prices: referencePrices, bytesOfRef: () => undefined, ...context });
}

const program = (changes: object = {}) => ({ code: { ref: REF }, runtime: { ref: REF }, ...changes });

describe('estimate', () => {
  test.each([
    [{}, '200'],
    [{ resources: { vcpus: 3, memory: 128 } }, '600'],
    [{ resources: { vcpus: 1, memory: 2049 } }, '400'],
    [{ environment: { internet: true } }, '400'],
    [{ on: { persistent: true } }, '1000'],
    [{ on: { persistent: true }, environment: { internet: true } }, '1000'],
  ])('estimate: counts the compute units of a program with %j', (changes, tokens) => {
    const { cost, lines, paymentType } = price('PROGRAM', program(changes));
    expect([cost, paymentType]).toEqual([`${tokens}.000000000000000000`, 'hold']);
    expect(lines.map((line) => line.type)).toEqual(['EXECUTION', 'EXECUTION_VOLUME_DISCOUNT']);
  });

  test('estimate: takes off the disk that comes with the compute units, and asks for the rest', () => {
    const sizes: Record<string, number> = { [REF]: 2000 * MIB, ['b'.repeat(64)]: 100 * MIB };
    const bytesOfRef = (ref: string) => sizes[ref];
    const { cost, lines } = price('PROGRAM', program({ runtime: { ref: 'b'.repeat(64) } }), { bytesOfRef });
    // 2100 MiB of which 2048 are free, for 0.05 each; and one compute unit.
    expect(cost).toBe('202.600000000000000000');
    expect(lines.map(({ name, cost_hold, size_mib }) => [name, cost_hold, size_mib])).toEqual([
      ['program', '200.000000000000000000', null],
      ['EXECUTION_PROGRAM_VOLUME_CODE', '100.000000000000000000', 2000],
      ['EXECUTION_PROGRAM_VOLUME_RUNTIME', '5.000000000000000000', 100],
      ['EXECUTION_VOLUME_DISCOUNT', '-102.400000000000000000', null],
    ]);
    const small = price('PROGRAM', program(), { bytesOfRef: () => MIB });
    expect(small.cost).toBe('200.000000000000000000');
  });

  test('estimate: writes rates by the second, cut at eighteen places', () => {
    const { lines } = price('INSTANCE', { rootfs: { size_mib: 20_481 }, payment: { type: 'superfluid' } });
    expect(lines.map(({ cost_stream }) => cost_stream)).toEqual([
      '0.000015277777777777',
      '0.000005558315833333',
      // Rounded down below zero.
      '-0.000005558044444445',
    ]);
  });

  test('estimate: has a least price for credits, for each line and for a small file', () => {
    const payment = { type: 'credit' };
    const { cost, lines } = price('STORE', { item_hash: REF, payment }, { fileBytes: 1 });
    expect([cost, lines[0]?.size_mib]).toEqual(['0.001247742293793479', 25]);
    const sized = price('PROGRAM', program({ payment, code: { ref: REF, estimated_size_mib: 0.001 } }));
    expect(sized.lines.map(({ cost_credit }) => cost_credit)).toEqual([
      '3.055555555555555555',
      '0.000277777777777777',
      '-0.000277777777777777',
    ]);
  });

  test('estimate: says the size of a file that is not here yet, and skips one of no size', () => {
    expect(price('STORE', { estimated_size_mib: 1024 }).cost).toBe('341.333332992000000000');
    expect(price('STORE', { item_hash: REF }, { fileBytes: 3 * MIB }).cost).toBe('0.999999999000000000');
    for (const fileBytes of [undefined, 0]) {
      expect(price('STORE', { item_hash: REF }, { fileBytes })).toMatchObject({ cost: ZERO, lines: [] });
    }
  });

  test('estimate: names volumes by their place and mount, and asks which update of a file is meant', () => {
    const asked: [string, boolean][] = [];
    const bytesOfRef = (ref: string, { latest }: { latest: boolean }) => {
      asked.push([ref.charAt(0), latest]);
      return ref === REF ? MIB : undefined;
    };
    const volumes = [
      { ref: REF, mount: '/data', use_latest: false },
      { ref: 'c'.repeat(64) },
      { ephemeral: true, size_mib: 10 },
      { persistence: 'host', size_mib: 20, mount: '/p' },
    ];
    const data = { ref: 'd'.repeat(64) };
    const { lines } = price('PROGRAM', program({ volumes, data }), { bytesOfRef });
    expect(lines.slice(3).map(({ name, size_mib }) => [name, size_mib])).toEqual([
      ['#0:/data', 1],
      ['#2:EXECUTION_VOLUME_PERSISTENT', 10],
      ['#3:/p', 20],
      ['EXECUTION_VOLUME_DISCOUNT', null],
    ]);
    expect(asked).toEqual([
      ['a', false],
      ['a', true],
      ['d', false],
      ['a', false],
      ['c', true],
    ]);
  });

  test('estimate: prices GPUs by their class, and none that nobody sells', () => {
    const gpus = (...ids: string[]) => ({
      rootfs: { size_mib: 1 },
      payment: { type: 'superfluid' },
      requirements: { gpu: ids.map((device_id) => ({ device_id })) },
    });
    const { lines } = price('INSTANCE', gpus('10de:2330', '10de:2684', '10de:2684'));
    expect(lines.slice(0, 2).map(({ name, cost_stream }) => [name, cost_stream])).toEqual([
      ['instance_gpu_premium', '0.003733333333333333'],
      ['instance_gpu_standard', '0.000933333333333333'],
    ]);
    for (const id of ['10de:2685', 'toString', '']) {
      expect(() => price('INSTANCE', gpus(id))).toThrow(GpuUnpriced);
    }
  });

  test('estimate: asks more for trusted execution', () => {
    const { cost } = price('INSTANCE', { rootfs: { size_mib: 1 }, environment: { trusted_execution: { policy: 1 } } });
    expect(cost).toBe('2000.000000000000000000');
  });

  test('estimate: is the sum of its lines, and never below the execution alone, whatever the content', () => {
    const size = fc.oneof(fc.double({ min: 0, max: 1e6, noNaN: true }), fc.nat(3_000_000));
    const content = fc.record({
      resources: fc.record({ vcpus: fc.integer({ min: 1, max: 256 }), memory: fc.integer({ min: 1, max: 1_048_576 }) }),
      payment: fc.record({ type: fc.constantFrom('hold', 'superfluid', 'credit') }),
      code: fc.record({ ref: fc.constant(REF), estimated_size_mib: size }),
      runtime: fc.record({ ref: fc.constant(REF), estimated_size_mib: size }),
      on: fc.record({ persistent: fc.boolean() }),
      environment: fc.record({ internet: fc.boolean() }),
      volumes: fc.array(fc.record({ size_mib: size }), { maxLength: 5 }),
    });
    fc.assert(
      fc.property(content, (one) => {
        const { cost, lines } = price('PROGRAM', one);
        const way = ({ hold: 'cost_hold', superfluid: 'cost_stream', credit: 'cost_credit' } as const)[
          one.payment.type as 'hold' | 'superfluid' | 'credit'
        ];
        expect(addCosts(lines.map((line) => line[way]))).toBe(cost);
        expect(units(cost) >= units(lines[0]?.[way] ?? '')).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});

describe('pricesFrom', () => {
  test('pricesFrom: takes the operator’s prices for the products that it can read', () => {
    const own = { price: { storage: { holding: 0.5 } } };
    const prices = pricesFrom({ storage: own, program: { price: 'free' }, unknown: 1 });
    expect(price('STORE', { estimated_size_mib: 2 }, { prices }).cost).toBe('1.000000000000000000');
    expect(prices.program).toBe(referencePrices.program);
    for (const nothing of [undefined, null, 'text', 7, []]) expect(pricesFrom(nothing)).toEqual(referencePrices);
  });
});

function units(cost: string): bigint {
  return BigInt(cost.replace('.', ''));
}
