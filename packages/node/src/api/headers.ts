import type { FastifyInstance, FastifyReply } from 'fastify';

const PREFLIGHT_SECONDS = 86_400;

/**
 * Lets pages of any origin call the API, as the network's browser client needs, and keeps whatever the API answers
 * from being run as a page of its own origin.
 */
export function registerHeaders(app: FastifyInstance): void {
  app.addHook('onRequest', async (_request, reply) => {
    openToAll(reply);
  });
  app.options('/*', async (_request, reply) => {
    reply.headers({
      'access-control-allow-methods': 'GET, HEAD, POST, OPTIONS',
      // "*" does not cover Authorization.
      'access-control-allow-headers': '*, Authorization',
      'access-control-max-age': String(PREFLIGHT_SECONDS),
    });
    return reply.code(204).send();
  });
}

/** The headers of every answer. */
export function openToAll(reply: FastifyReply): void {
  reply.headers({
    'access-control-allow-origin': '*',
    'access-control-expose-headers': '*',
    'cross-origin-resource-policy': 'cross-origin',
    'x-content-type-options': 'nosniff',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'; sandbox",
  });
}
