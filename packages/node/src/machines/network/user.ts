import type { HostMessage } from '@vmlet/guest-protocol';

/** The addresses that QEMU's user-mode network gives every guest (QEMU's own defaults). */
export const userNetworkAddresses: NonNullable<Extract<HostMessage, { type: 'configure' }>['network']> = {
  address: '10.0.2.15',
  prefix: 24,
  gateway: '10.0.2.2',
  dns: ['10.0.2.3'],
};

/**
 * QEMU arguments of a user-mode network card, which needs no privilege: the guest may open connections to anywhere that
 * the host can reach. There is no way in: that is the wire's.
 */
export function userNetworkArguments(): string[] {
  return ['-netdev', 'user,id=net0,restrict=off,ipv6=off', '-device', 'virtio-net-device,netdev=net0'];
}
