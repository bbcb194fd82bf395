import { itemHashSchema } from '@vmlet/messages/schema';
import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import { VmletError } from '../errors.ts';
import type { StatusEnvelope } from '../ledger/index.ts';
import type { ApiComponents } from './components.ts';
import { type HashRoute, itemHashParam } from './hash-param.ts';
import { acceptanceSchema, shortStatusSchema, statusEnvelopeSchema } from './message-schemas.ts';
import { HTTP_STATUS, publish } from './publish.ts';
import { requestSignal } from './request-signal.ts';

const TAG = 'messages';
const bodySchema = z.object({ sync: z.boolean().nullish(), message: z.record(z.string(), z.unknown()) });
const params = z.object({ hash: itemHashSchema });
const posting = {
  summary: 'Publish a message; with sync, once it is settled',
  tag: TAG,
  body: bodySchema,
  response: acceptanceSchema,
  statuses: [200, 202, 410, 422],
};
const one = { summary: 'A message and what became of it', tag: TAG, params, response: statusEnvelopeSchema };
const short = { summary: 'What became of a message', tag: TAG, params, response: shortStatusSchema };
const content = {
  summary: 'The content of a message in force; of a post, what it says',
  tag: TAG,
  params,
  response: z.unknown(),
};

/** POST and GET of messages. */
export function registerMessages(app: FastifyInstance, components: ApiComponents): void {
  const bodyLimit = components.limits.messageBytes;
  app.post('/api/v0/messages', { bodyLimit, config: { doc: posting } }, async (request, reply) => {
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

  app.get<HashRoute>('/api/v0/messages/:hash', { config: { doc: one } }, async (request) =>
    known(components, itemHashParam(request)),
  );

  app.get<HashRoute>('/api/v0/messages/:hash/status', { config: { doc: short } }, async (request) => {
    const { status, item_hash, reception_time } = known(components, itemHashParam(request));
    return { status, item_hash, reception_time };
  });

  app.get<HashRoute>('/api/v0/messages/:hash/content', { config: { doc: content } }, async (request, reply) => {
    const itemHash = itemHashParam(request);
    const found = known(components, itemHash);
    if (found.status !== 'processed' && found.status !== 'removing') {
      throw new VmletError('MESSAGE_NOT_IN_FORCE', { operands: { itemHash, status: found.status } });
    }
    const { type, content: whole } = found.message;
    const said = type === 'POST' ? contentIn(whole) : whole;
    // As text: what a post says may be any JSON, a text or nothing among it.
    return reply.type('application/json; charset=utf-8').send(JSON.stringify(said ?? null));
  });
}

function contentIn(post: object): unknown {
  return 'content' in post ? post.content : undefined;
}

function known({ ledger }: ApiComponents, itemHash: string): StatusEnvelope {
  const found = ledger.get(itemHash);
  if (found === undefined) throw new VmletError('MESSAGE_UNKNOWN', { operands: { itemHash } });
  return found;
}
