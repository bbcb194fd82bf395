/** The server that the launcher runs for a program that exports a function. */
import { createServer, type RequestListener, type Server, type ServerOptions } from 'http';
import { Failure } from './failures.ts';

const BACKLOG = 1024;
/** Longest that Node's timers go, in milliseconds: a check that has nothing to check need not run. */
const NEVER_MS = 2_147_483_647;

/** No deadlines: the host has them. So an idle program costs nothing, and no connection is closed from inside. */
const UNLIMITED = { timeout: 0, keepAliveTimeout: 0, headersTimeout: 0, requestTimeout: 0 };

/** Makes the server; it does not listen yet. */
export function makeServer(listener: RequestListener): Server {
  const options: ServerOptions & Record<string, unknown> = {
    ...UNLIMITED,
    maxHeaderSize: 65_536,
    connectionsCheckingInterval: NEVER_MS,
  };
  const server = Object.assign(createServer(options, listener), UNLIMITED);
  // The host adds the date, which it knows better; here it would have to be made in the first answer of each clone.
  server.prependListener('request', (_req, res) => {
    res.sendDate = false;
  });
  // Newer versions of Node do so by themselves.
  server.on('connection', (socket) => socket.setNoDelay(true));
  return server;
}

/**
 * Listens on all IPv4 addresses of the machine unless one is named. Rejects with Failure PORT_IN_USE or BIND_FAILED.
 * @param options.listen Node's own, not the one that programs are given
 */
export function listenOn(
  server: Server,
  port: number,
  { listen, host = '0.0.0.0' }: { listen: CallableFunction; host?: string },
): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => reject(bindFailure(port, error));
    server.once('error', fail);
    server.once('listening', () => {
      server.removeListener('error', fail);
      resolve();
    });
    Reflect.apply(listen, server, [{ port, host, backlog: BACKLOG }]);
  });
}

/** The Failure for an error of listen(). */
export function bindFailure(port: number, error: Error): Failure {
  const { code } = error as NodeJS.ErrnoException;
  const message = `Cannot listen on port ${port}`;
  if (code !== 'EADDRINUSE') return new Failure('BIND_FAILED', `${message}: ${error.message}, expected a free port`);
  const state = 'something listens there already, expected a free port: one server a program';
  return new Failure('PORT_IN_USE', `${message}: ${state}`, { detail: error.message });
}
