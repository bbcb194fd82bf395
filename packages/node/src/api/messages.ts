import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import { VmletError } from '../errors.ts';
import type { StatusEnvelope } from '../ledger/index.ts';
import type { ApiComponents } from './components.ts';
import { type HashRoute, itemHashParam } from './hash-param.ts';
import { HTTP_STATUS, publish } from './publish.ts';
import { requestSignal } from './request-signal.ts';

const bodySchema = z.object({ sync: z.boolean().nullish(), message: z.record(z.string(), z.unknown()) });

/** POST and GET of messages. */
export function registerMessages(app: FastifyInstance, components: ApiComponents): void {
  app.post('/api/v0/messages', { bodyLimit: components.limits.messageBytes }, async (request, reply) => {
    const body = bodySchema.safeParse(request.body);
    if (!body.success) {
      throw new VmletError('API_BODY_UNREADABLE', { operands: { cause: 'not an object with the member "message"' } });
    }
    const { message, sync } = body.data;
    const signal = requestSignal(reply.raw);
    const { status, reason } = await publish(message, { components, sync: sync ?? false, signal });
    return reply.code(HTTP_STATUS[status]).send({
      publication_status: { status: 'success', failed: [] },
      message_status: status,
      ...(reason === undefined ? {} : { error_code: reason.code, details: { errors: reason.errors } }),
    });
  });

  app.get<HashRoute>('/api/v0/messages/:hash', async (request) => known(components, itemHashParam(request)));

  app.get<HashRoute>('/api/v0/messages/:hash/status', async (request) => {
    const { status, item_hash, reception_time } = known(components, itemHashParam(request));
    return { status, item_hash, reception_time };
  });
}

function known({ ledger }: ApiComponents, itemHash: string): StatusEnvelope {
  const found = ledger.get(itemHash);
  if (found === undefined) throw new VmletError('MESSAGE_UNKNOWN', { operands: { itemHash } });
  return found;
}
