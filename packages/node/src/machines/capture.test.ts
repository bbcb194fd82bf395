import { expect, test } from 'vitest';
import { connectionsIn } from './capture.ts';

/** As QEMU 7.2 prints it. */
const INFO = `Hub -1 (net0):
  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ
  TCP[ESTABLISHED]   31       10.0.2.15 43210     203.0.113.9   443     0     0
  TCP[SYN_SENT]      33       10.0.2.15 43211     203.0.113.9   443     0     0
  TCP[TIME_WAIT]     34       10.0.2.15 43212     203.0.113.9   443     0     0
  UDP[236 sec]       35       10.0.2.15 50000      10.0.2.3     53      0     0
`;

test('connectionsIn: counts TCP connections that are open or about to be, and nothing else', () => {
  expect(connectionsIn(INFO)).toBe(2);
  expect(connectionsIn('')).toBe(0);
});
