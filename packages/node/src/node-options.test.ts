import { expect, test } from 'vitest';
import { executionsConfig, internetFor, type NodeOptions, uploadLimitsOf } from './node-options.ts';

const OPTIONS: NodeOptions = {
  home: '/h',
  cache: '/c',
  config: '/k',
  listen: { host: '127.0.0.1', port: 0 },
  allow: 'own',
};

test('executionsConfig: gives starts more time under emulation, and memory that the host has', () => {
  const [kvm, tcg] = [executionsConfig(OPTIONS, 'kvm'), executionsConfig(OPTIONS, 'tcg')];
  expect(tcg.bootDeadlineMs).toBeGreaterThan(kvm.bootDeadlineMs);
  expect(tcg.loadDeadlineMs).toBeGreaterThan(kvm.loadDeadlineMs);
  expect(kvm.memoryBudgetMiB).toBeGreaterThan(0);
  expect(Number.isInteger(kvm.memoryBudgetMiB)).toBe(true);
  expect(kvm.maxBoots).toBeGreaterThan(0);
});

test('executionsConfig: takes what the options say, nothing too', () => {
  const given = { maxInFlight: 1, maxQueued: 0, idleMs: 5, memoryBudgetMiB: 7, bootDeadlineMs: 8, loadDeadlineMs: 9 };
  expect(executionsConfig({ ...OPTIONS, ...given }, 'tcg')).toMatchObject(given);
});

test('internetFor: gives a way out to those that ask, by the operator’s word and by what confines it', () => {
  const of = (internet: NodeOptions['internet'], isConfined: boolean) => {
    const may = internetFor(internet ? { internet } : {}, { operator: `0x${'aB'.repeat(20)}`, isConfined });
    return [may(`0x${'Ab'.repeat(20)}`), may(`0x${'cd'.repeat(20)}`)];
  };
  expect(of(undefined, true)).toEqual([true, true]);
  expect(of('own', true)).toEqual([true, false]);
  expect(of('none', true)).toEqual([false, false]);
  expect(of(undefined, false)).toEqual([true, false]);
  expect(of('any', false)).toEqual([true, false]);
});

test('uploadLimitsOf: says only what differs from the network, and takes no unsigned file at a node of one’s own', () => {
  expect(uploadLimitsOf({ allow: 'own' })).toEqual({ unsignedFileBytes: 0 });
  expect(uploadLimitsOf({ allow: 'any' })).toEqual({});
  const uploadLimitsBytes = { unsigned: 1, signed: 2, trusted: 3, ipfs: 4, car: 5 };
  expect(uploadLimitsOf({ allow: 'own', uploadLimitsBytes })).toEqual({
    unsignedFileBytes: 1,
    signedFileBytes: 2,
    trustedFileBytes: 3,
    signedIpfsBytes: 4,
    carBytes: 5,
  });
});
