import type { FastifyInstance } from 'fastify';
import type { ApiComponents } from './components.ts';
import { figuresOf, figuresSchema, openMetricsOf } from './figures.ts';

/** GET of what this node says of itself in public. */
export function registerMetrics(app: FastifyInstance, components: Pick<ApiComponents, 'facets' | 'version'>): void {
  const tag = 'node';
  const json = { summary: 'Figures of this node', tag, response: figuresSchema };
  app.get('/metrics.json', { config: { doc: json } }, async () => figuresOf(components));

  const responseType = 'text/plain; version=0.0.4; charset=utf-8';
  const text = { summary: 'The same, as Prometheus reads them', tag, responseType };
  app.get('/metrics', { config: { doc: text } }, async (_request, reply) =>
    reply.type(responseType).send(openMetricsOf(figuresOf(components))),
  );
}
