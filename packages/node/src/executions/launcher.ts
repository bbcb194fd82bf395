import type { Duplex } from 'node:stream';
import { Pool } from 'undici';
import { failpoint } from '../failpoint.ts';
import type { Machine } from '../machines/index.ts';

export { GUEST_HTTP_PORT, launcherEnvironment } from '../starts/environment/index.ts';

/** How long a connection to a program's own server is kept, in milliseconds: less than any server is known to. */
const OWN_SERVER_KEPT_MS = 1000;
/** For ever, as far as undici's timers go. */
const FOREVER_MS = 2_147_483_647;

/**
 * Connections to a program over its machine's wire, kept open: a new one costs the program an accept().
 * A launcher's server never closes an idle one, so a request never meets a connection that is just being closed. A
 * program's own server may, by rules that nobody here knows: those are given up first.
 * Deadlines are the gateway's, per program; the pool has none.
 */
export function connectTo(machine: Pick<Machine, 'connect'>, options: { port: number; ownServer?: boolean }): Pool {
  const keptMs = options.ownServer ? OWN_SERVER_KEPT_MS : FOREVER_MS;
  return new Pool(`http://127.0.0.1:${options.port}`, {
    connect: (_origin, callback) => {
      // undici takes any duplex stream; its types know sockets only.
      const done = callback as (...result: [null, Duplex] | [Error, null]) => void;
      machine.connect(options.port).then(
        async (stream) => {
          await failpoint('connection.opened');
          done(null, stream);
        },
        (error: unknown) => done(error instanceof Error ? error : new Error(String(error)), null),
      );
    },
    connections: 256,
    pipelining: 1,
    keepAliveTimeout: keptMs,
    keepAliveMaxTimeout: keptMs,
    headersTimeout: 0,
    bodyTimeout: 0,
  });
}
