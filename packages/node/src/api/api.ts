import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import fastify, { type FastifyInstance } from 'fastify';
import { registerAddJson } from './add-json.ts';
import { registerAddressFiles } from './address-files.ts';
import type { ApiComponents } from './components.ts';
import { figuresOf } from './figures.ts';
import { registerHeaders } from './headers.ts';
import { registerHealth } from './health.ts';
import { registerIpfsAddFile } from './ipfs-add-file.ts';
import { type ApiLimits, defaultLimits } from './limits.ts';
import { registerMessages } from './messages.ts';
import { registerProblems } from './problem.ts';
import { registerStorageAddFile } from './storage-add-file.ts';
import { registerStorageContent } from './storage-content.ts';
import { registerStorageInfo } from './storage-info.ts';
import { registerStorageLimits } from './storage-limits.ts';
import { registerStorageRaw } from './storage-raw.ts';
import { registerVersion } from './version.ts';
import { openSockets } from './websocket/sockets.ts';

/** The network API without a socket: whoever owns one hands its requests over. */
export interface Api extends AsyncDisposable {
  /** Answers one request, whatever it is. */
  handler(request: IncomingMessage, response: ServerResponse): void;
  /** Answers the handshake of a WebSocket. @throws VmletError if it is refused; then nothing was written */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Refuses further requests with 503; the sockets are for their owner to close. */
  close(): Promise<void>;
}

/** Builds the network API. `limits` default to the network's. */
export async function createApi(
  components: Omit<ApiComponents, 'limits'> & { limits?: Partial<ApiLimits> },
): Promise<Api> {
  const built: ApiComponents = { ...components, limits: { ...defaultLimits, ...components.limits } };
  let answer: (request: IncomingMessage, response: ServerResponse) => void = () => {};
  const app = fastify({
    exposeHeadRoutes: false,
    // It never listens: fastify wants one to hang its handler on.
    serverFactory(handler) {
      answer = handler;
      return createServer();
    },
  });
  registerRoutes(app, built);
  await app.ready();
  const sockets = openSockets({ ...built, figures: () => figuresOf(built) });
  const close = async () => {
    sockets[Symbol.dispose]();
    await app.close();
  };
  return {
    handler: (request, response) => answer(request, response),
    upgrade: (request, socket, head) => sockets.upgrade(request, socket, head),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function registerRoutes(app: FastifyInstance, components: ApiComponents): void {
  registerHeaders(app);
  registerProblems(app, components);
  registerVersion(app, components);
  registerAddJson(app, components);
  registerAddressFiles(app, components);
  registerIpfsAddFile(app, components);
  registerHealth(app, components);
  registerMessages(app, components);
  registerStorageAddFile(app, components);
  registerStorageContent(app, components);
  registerStorageInfo(app, components);
  registerStorageLimits(app, components);
  registerStorageRaw(app, components);
}
