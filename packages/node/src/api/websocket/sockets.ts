import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { VmletError } from '../../errors.ts';
import type { ServedRoute } from '../doc.ts';
import { checkHandshake, queryOf } from './handshake.ts';
import { defaultWebSocketLimits, type WebSocketLimits } from './limits.ts';
import { type MessageFeed, type MessageFeedComponents, openMessageFeed } from './message-feed.ts';
import { openStatusFeed, type StatusFeedComponents } from './status-feed.ts';
import { Subscriber } from './subscriber.ts';
import { subscriptionSchema } from './subscription.ts';

/** The longest frame that is read of a client; none of what it says is asked for. */
const MAX_CLIENT_BYTES = 4096;
/** RFC 6455, 7.4.1, and its registry. */
const GOING_AWAY = 1001;
const TRY_AGAIN_LATER = 1013;

/** What the feeds read, and bounds of their own. */
export type SocketsComponents = MessageFeedComponents &
  StatusFeedComponents & { webSocketLimits?: Partial<WebSocketLimits> };

const switching = { tag: 'websockets', statuses: [101] };

/** What is told of them beside the routes of HTTP. */
export const socketRoutes: readonly ServedRoute[] = [
  {
    method: 'GET',
    path: '/api/ws0/messages',
    doc: {
      summary: 'WebSocket: some of the past, the oldest first, and then each message as it comes into force',
      query: subscriptionSchema,
      ...switching,
    },
  },
  {
    method: 'GET',
    path: '/api/ws0/status',
    doc: { summary: 'WebSocket: the figures of this node, at once and when they change', ...switching },
  },
];

/** The WebSockets of the API. */
export interface ApiSockets extends Disposable {
  /**
   * Answers a handshake and keeps the connection.
   * @throws VmletError `API_ROUTE_UNKNOWN`, `API_QUERY_MALFORMED`, `REQUEST_MALFORMED`; then nothing was written
   */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Closes all with 1001: the node goes. */
  leave(): void;
  /** How many clients are told of messages, and of the status. */
  counts(): { messages: number; status: number };
}

/** One feed: how many it tells, and how a client joins. */
type Feed = Pick<MessageFeed, 'size' | 'close'> & Disposable & { prepare(query: object): (one: Subscriber) => void };

/** Opens them on a ledger; no socket is listened at. */
export function openSockets(components: SocketsComponents): ApiSockets {
  const limits = { ...defaultWebSocketLimits, ...components.webSocketLimits };
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    autoPong: false,
    maxPayload: MAX_CLIENT_BYTES,
  });
  // Pages of any origin may listen; those that read the answer's headers are told so.
  server.on('headers', (headers) => headers.push('access-control-allow-origin: *'));
  const messages = openMessageFeed(components, limits);
  const status = openStatusFeed(components, limits);
  const feeds: Record<string, Feed> = { '/api/ws0/messages': messages, '/api/ws0/status': status };
  const leave = () => {
    for (const feed of [messages, status]) feed.close(GOING_AWAY, 'The node stops');
  };
  return {
    upgrade(request, socket, head) {
      const { url = '/' } = request;
      const [path = ''] = url.split('?', 1);
      const feed = Object.hasOwn(feeds, path) ? feeds[path] : undefined;
      if (feed === undefined) throw new VmletError('API_ROUTE_UNKNOWN', { operands: { method: 'WebSocket', path } });
      checkHandshake(request);
      const join = feed.prepare(queryOf(url));
      server.handleUpgrade(request, socket, head, (client) => {
        const subscriber = new Subscriber(client, socket, limits);
        if (feed.size >= limits.subscribers) subscriber.close(TRY_AGAIN_LATER, 'Too many connections');
        else join(subscriber);
      });
    },
    counts: () => ({ messages: messages.size, status: status.size }),
    leave,
    [Symbol.dispose]() {
      leave();
      for (const feed of [messages, status]) feed[Symbol.dispose]();
      server.close();
    },
  };
}
