import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import { VmletError } from '../errors.ts';
import type { ApiComponents } from './components.ts';
import { publish } from './publish.ts';
import { requestSignal } from './request-signal.ts';

/** The one topic of the network's messages. */
const MESSAGE_TOPIC = 'ALEPH-TEST';

const body = z.object({
  topic: z.string(),
  // A client of the network falls back to this route with the message itself.
  data: z.union([z.string(), z.record(z.string(), z.unknown())]),
});
const response = z.object({ status: z.literal('success'), failed: z.array(z.string()) });

/** POST of messages in the form of the network's first clients. */
export function registerPubsub(app: FastifyInstance, components: ApiComponents): void {
  const doc = { summary: 'Publish a message, as a text of JSON', tag: 'messages', body, response };
  const bodyLimit = components.limits.messageBytes;
  for (const path of ['/api/v0/ipfs/pubsub/pub', '/api/v0/p2p/pubsub/pub']) {
    app.post(path, { bodyLimit, config: { doc } }, async (request, reply) => {
      const read = body.safeParse(request.body);
      if (!read.success) throw unreadable('no object with the members "topic" and "data"', read.error);
      const { topic, data } = read.data;
      if (topic !== MESSAGE_TOPIC) {
        throw new VmletError('TOPIC_FORBIDDEN', { operands: { topic, wanted: MESSAGE_TOPIC } });
      }
      const message: unknown = typeof data === 'string' ? parsed(data) : data;
      const { status, reason } = await publish(message, { components, sync: false, signal: requestSignal(reply.raw) });
      if (status === 'rejected') {
        const { code = -1, errors = [] } = reason ?? {};
        const itemHash = String((message as { item_hash?: unknown }).item_hash);
        throw new VmletError('MESSAGE_REJECTED', { operands: { itemHash, code, cause: errors.join('; ') } });
      }
      return { status: 'success', failed: [] };
    });
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw unreadable('the member "data" is no JSON', error);
  }
}

function unreadable(cause: string, error: unknown): VmletError {
  return new VmletError('API_BODY_UNREADABLE', { operands: { cause }, cause: error });
}
