import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import fastify, { type FastifyInstance } from 'fastify';
import { registerAddJson } from './add-json.ts';
import { registerAddressFiles } from './address-files.ts';
import { registerAddresses } from './addresses.ts';
import { registerAggregates } from './aggregates.ts';
import { registerAuthorizations } from './authorizations.ts';
import { registerChannels } from './channels.ts';
import type { ApiComponents } from './components.ts';
import { registerCosts } from './costs.ts';
import { registerCredits } from './credits.ts';
import { collectRoutes, type ServedRoute } from './doc.ts';
import { figuresOf } from './figures.ts';
import { registerHeaders } from './headers.ts';
import { registerHealth } from './health.ts';
import { registerInfo } from './info.ts';
import { registerIpfsAddCar } from './ipfs-add-car.ts';
import { registerIpfsAddFile } from './ipfs-add-file.ts';
import { type ApiLimits, defaultLimits } from './limits.ts';
import { recentIn, registerMessageList } from './message-list.ts';
import { registerMessages } from './messages.ts';
import { registerMetrics } from './metrics.ts';
import { registerNodeMetrics } from './node-metrics.ts';
import { registerDocs } from './openapi/routes.ts';
import { registerPostList } from './post-list.ts';
import { registerPrice } from './price.ts';
import { answerBadPath, MAX_PLACE_CHARS, registerProblems } from './problem.ts';
import { registerPrograms } from './programs.ts';
import { registerPubsub } from './pubsub.ts';
import { registerRuntimes } from './runtimes.ts';
import { registerStorageAddFile } from './storage-add-file.ts';
import { registerStorageContent } from './storage-content.ts';
import { registerStorageInfo } from './storage-info.ts';
import { registerStorageLimits } from './storage-limits.ts';
import { registerStorageRaw } from './storage-raw.ts';
import { registerVersion } from './version.ts';
import { openSockets, socketRoutes } from './websocket/sockets.ts';

/** The network API without a socket: whoever owns one hands its requests over. */
export interface Api extends AsyncDisposable {
  /** Answers one request, whatever it is. */
  handler(request: IncomingMessage, response: ServerResponse): void;
  /** Answers one request without streams, for who is in the same process: both bodies are whole. */
  ask(request: ApiQuestion): Promise<ApiAnswer>;
  /** Answers the handshake of a WebSocket. @throws VmletError if it is refused; then nothing was written */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Says to all WebSockets that the node goes. Their sockets are for their owner to close. */
  leave(): void;
  /** Every route that is served, WebSockets too. */
  readonly routes: readonly ServedRoute[];
  /** Refuses further requests with 503; the sockets are for their owner to close. */
  close(): Promise<void>;
}

/** A request of somebody in the same process. */
export interface ApiQuestion {
  method: 'GET' | 'POST';
  url: string;
  headers?: Record<string, string>;
  payload?: string;
}

/** Its answer. */
export interface ApiAnswer {
  statusCode: number;
  headers: Record<string, unknown>;
  body: string;
}

/** Builds the network API. `limits` default to the network's. */
export async function createApi(
  components: Omit<ApiComponents, 'limits' | 'recent'> &
    Partial<Pick<ApiComponents, 'recent'>> & { limits?: Partial<ApiLimits> },
): Promise<Api> {
  const built: ApiComponents = {
    ...components,
    recent: components.recent ?? recentIn(components.lists),
    limits: { ...defaultLimits, ...components.limits },
  };
  let answer: (request: IncomingMessage, response: ServerResponse) => void = () => {};
  const app = fastify({
    exposeHeadRoutes: true,
    routerOptions: { maxParamLength: MAX_PLACE_CHARS },
    frameworkErrors: answerBadPath,
    // It never listens: fastify wants one to hang its handler on.
    serverFactory(handler) {
      answer = handler;
      return createServer();
    },
  });
  const routes = registerRoutes(app, built);
  await app.ready();
  const sockets = openSockets({ ...built, figures: () => figuresOf(built) });
  const close = async () => {
    sockets[Symbol.dispose]();
    await app.close();
  };
  return {
    routes,
    handler: (request, response) => answer(request, response),
    ask: async (question) => await app.inject(question),
    upgrade: (request, socket, head) => sockets.upgrade(request, socket, head),
    leave: () => sockets.leave(),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function registerRoutes(app: FastifyInstance, components: ApiComponents): readonly ServedRoute[] {
  registerHeaders(app);
  const routes = [...socketRoutes];
  collectRoutes(app, routes);
  registerProblems(app, components);
  registerAddJson(app, components);
  registerAddressFiles(app, components);
  registerIpfsAddCar(app, components);
  registerIpfsAddFile(app, components);
  registerAddresses(app, components);
  registerAggregates(app, components);
  registerAuthorizations(app, components);
  registerChannels(app, components);
  registerDocs(app, { ...components, routes });
  registerHealth(app, components);
  registerInfo(app);
  registerMessageList(app, components);
  registerMessages(app, components);
  registerPostList(app, components);
  registerRuntimes(app, components);
  registerCosts(app, components);
  registerCredits(app);
  registerPrice(app, components);
  registerMetrics(app, components);
  registerNodeMetrics(app, components);
  registerPrograms(app, components);
  registerPubsub(app, components);
  registerStorageAddFile(app, components);
  registerStorageContent(app, components);
  registerStorageInfo(app, components);
  registerStorageLimits(app, components);
  registerStorageRaw(app, components);
  registerVersion(app, components);
  return routes;
}
