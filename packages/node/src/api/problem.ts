import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { asVmletError, toProblem, VmletError } from '../errors.ts';
import type { ApiComponents } from './components.ts';
import { drain } from './drain.ts';
import { openToAll } from './headers.ts';

/** What stands in one place of a path: hashes and addresses of up to 128 characters, and what an encoding makes of them. */
export const MAX_PLACE_CHARS = 512;

/** Answers every error, and every unknown route, with problem details. */
export function registerProblems(app: FastifyInstance, { onFailure }: Pick<ApiComponents, 'onFailure'>): void {
  app.setErrorHandler((thrown: FastifyError, request, reply) => {
    const error = fromFastify(thrown, request) ?? asVmletError(thrown);
    const { method, url } = request;
    // One that is told to stop says so, and has not failed.
    if (error.entry.status >= 500 && error.code !== 'NODE_DRAINING') onFailure({ error, method, url });
    return answer(error, { request, reply });
  });
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0] ?? '';
    return answer(new VmletError('API_ROUTE_UNKNOWN', { operands: { method: request.method, path } }), {
      request,
      reply,
    });
  });
}

/** Answers a path that no route gets to see: one that is badly encoded, or has too long a place. */
export function answerBadPath(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  const isLong = error.code === 'FST_ERR_MAX_PARAM_LENGTH';
  const found = isLong ? 'too long' : 'no percent-encoded UTF-8';
  openToAll(reply);
  answer(new VmletError('API_PATH_UNREADABLE', { operands: { found, max: MAX_PLACE_CHARS } }), { request, reply });
}

function answer(error: VmletError, { request, reply }: { request: FastifyRequest; reply: FastifyReply }): FastifyReply {
  // Fastify closes the connection on a body that is too long, and then the client may never read this answer.
  reply.removeHeader('connection');
  drain(request.raw);
  // As bytes: fastify would add a charset, which this media type has not.
  return reply
    .code(error.entry.status)
    .header('content-type', 'application/problem+json')
    .send(Buffer.from(JSON.stringify(toProblem(error))));
}

/** What fastify itself refuses: bodies that are too long or no JSON. */
function fromFastify(error: FastifyError, request: FastifyRequest): VmletError | undefined {
  if (typeof error.code !== 'string' || !error.code.startsWith('FST_') || (error.statusCode ?? 500) >= 500) {
    return undefined;
  }
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    const maxBytes = request.routeOptions.bodyLimit;
    return new VmletError('API_BODY_TOO_LARGE', { operands: { maxBytes }, cause: error });
  }
  return new VmletError('API_BODY_UNREADABLE', { operands: { cause: error.message }, cause: error });
}
