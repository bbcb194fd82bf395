import type { HostMessage } from '@vmlet/guest-protocol';
import type { QmpClient } from '../qmp/client.ts';

/** The port on which launchers serve inside every machine. */
export const GUEST_HTTP_PORT = 8080;

/** The addresses that QEMU's user-mode network gives every guest (QEMU's own defaults). */
export const userNetworkAddresses: NonNullable<Extract<HostMessage, { type: 'configure' }>['network']> = {
  address: '10.0.2.15',
  prefix: 24,
  gateway: '10.0.2.2',
  dns: ['10.0.2.3'],
};

/**
 * QEMU arguments of a user-mode network card, which needs no privilege.
 * The way in is a forward from a loopback port that QEMU picks itself; `restrict=on` leaves the guest no way out.
 * @param options.internet lets the guest open connections to anywhere that the host can reach
 */
export function userNetworkArguments(options: { internet: boolean }): string[] {
  const restrict = options.internet ? 'off' : 'on';
  return [
    '-netdev',
    `user,id=net0,restrict=${restrict},ipv6=off,hostfwd=tcp:127.0.0.1:0-:${GUEST_HTTP_PORT}`,
    '-device',
    'virtio-net-device,netdev=net0',
  ];
}

/** Asks QEMU which loopback port it picked. There is no QMP command for it, so the human monitor's table is read. */
export async function forwardedPort(qmp: Pick<QmpClient, 'human'>): Promise<number> {
  const table = await qmp.human('info usernet');
  const row = /TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s/.exec(table);
  if (!row?.[1]) throw new Error(`Cannot find the forwarded port: "info usernet" says "${table.slice(0, 400)}"`);
  return Number(row[1]);
}
