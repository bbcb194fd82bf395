import type { FastifyInstance, FastifyReply } from 'fastify';
import * as z from 'zod';
import type { ApiComponents } from '../components.ts';
import type { ServedRoute } from '../doc.ts';
import { documentOf } from './document.ts';
import { docsPage, PAGE_POLICY, startPage } from './page.ts';

const TAG = 'documentation';
const HTML = 'text/html; charset=utf-8';
const title = 'vmlet';
const description = 'Messages, files and programs of one node. The routes are those of the Aleph Cloud network.';

/** GET of the documentation: made once, from all routes that are registered by the first request. */
export function registerDocs(
  app: FastifyInstance,
  { version, routes }: Pick<ApiComponents, 'version'> & { routes: readonly ServedRoute[] },
): void {
  const facts = { title, version, description };
  const document = once(() => documentOf(routes, facts));
  const json = once(() => JSON.stringify(document()));
  const page = once(() => docsPage(document(), facts));
  const start = once(() => startPage(facts));

  const openApi = { summary: 'This documentation as OpenAPI 3.1', tag: TAG, response: z.looseObject({}) };
  app.get('/api/openapi.json', { config: { doc: openApi } }, async (_request, reply) =>
    reply.type('application/json; charset=utf-8').send(json()),
  );
  const pages = { '/api/docs': page, '/': start };
  for (const [path, read] of Object.entries(pages)) {
    const summary = path === '/' ? 'A page with where to read on' : 'This documentation as a page';
    const doc = { summary, tag: TAG, responseType: HTML };
    app.get(path, { config: { doc } }, async (_request, reply) => sendPage(reply, read()));
  }
}

function sendPage(reply: FastifyReply, text: string): FastifyReply {
  return reply.headers({ 'content-type': HTML, 'content-security-policy': PAGE_POLICY }).send(text);
}

function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
