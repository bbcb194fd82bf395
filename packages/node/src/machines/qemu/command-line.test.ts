import { expect, test } from 'vitest';
import { qemuArguments } from './command-line.ts';

const machine = {
  name: 'vmlet-a-b',
  kernel: '/kit/vmlinux',
  initramfs: '/kit/initramfs',
  accelerator: 'tcg' as const,
  tscKhz: 2_400_000,
  vcpus: 2,
  memoryMiB: 256,
  drives: ['/a,b"c', '/kit', '/code'].map((path) => ({ path })),
  incoming: false,
  sandbox: true,
  internet: false,
};
const valuesOf = (args: string[], option: string) =>
  args.flatMap((arg, index) => (arg === option ? [args[index + 1]] : []));

test('qemuArguments: gives read-only drives in their order, whatever their paths', () => {
  const args = qemuArguments(machine);
  const nodes = valuesOf(args, '-blockdev').map((json) => JSON.parse(json ?? ''));
  expect(nodes.map((node) => node.file.filename)).toEqual(machine.drives.map(({ path }) => path));
  for (const node of nodes)
    expect(node).toMatchObject({ driver: 'raw', 'read-only': true, file: { 'read-only': true } });
  const devices = valuesOf(args, '-device').filter((device) => device?.startsWith('virtio-blk'));
  expect(devices).toEqual([0, 1, 2].map((index) => `virtio-blk-device,drive=drive${index}`));
});

test('qemuArguments: lets a guest out only where it is told to', () => {
  const [inside, outside] = [qemuArguments(machine), qemuArguments({ ...machine, internet: true })];
  expect([valuesOf(inside, '-netdev'), inside.join(' ').includes('virtio-net')]).toEqual([[], false]);
  expect(valuesOf(outside, '-netdev')).toEqual(['user,id=net0,restrict=off,ipv6=off']);
  expect([inside, outside].map((args) => valuesOf(args, '-append')[0]?.endsWith(' network'))).toEqual([false, true]);
});

test('qemuArguments: opens no port of the host, and hands every socket over as a descriptor', () => {
  const args = qemuArguments({ ...machine, internet: true });
  expect(args.join(' ')).not.toMatch(/hostfwd|guestfwd|server=|path=/);
  const sockets = valuesOf(args, '-chardev');
  expect(sockets).toEqual(['control,fd=4', 'wire,fd=6', 'console,fd=5', 'qmp,fd=3'].map((one) => `socket,id=${one}`));
});

test('qemuArguments: names accelerator, size and the rate of the clock', () => {
  const tcg = qemuArguments(machine);
  expect([valuesOf(tcg, '-accel'), valuesOf(tcg, '-smp'), valuesOf(tcg, '-m')]).toEqual([
    ['tcg,tb-size=256'],
    ['2'],
    ['256M'],
  ]);
  expect(valuesOf(tcg, '-append')[0]).toContain('tsc_early_khz=2400000');
  expect(valuesOf(qemuArguments({ ...machine, accelerator: 'kvm' }), '-accel')).toEqual(['kvm']);
});

test('qemuArguments: tells init0 where the image brings an init of its own', () => {
  expect(valuesOf(qemuArguments(machine), '-append')[0]).not.toContain('vmlet_init');
  expect(valuesOf(qemuArguments({ ...machine, init: 'image' }), '-append')[0]).toMatch(/ vmlet_init=image( |$)/);
});
