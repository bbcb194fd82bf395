import type { FastifyInstance, RouteOptions } from 'fastify';
import type * as z from 'zod';

/** What the OpenAPI document says of one route. The schemas are those that the route validates with. */
export interface RouteDoc {
  /** One line, for the list of routes. */
  readonly summary: string;
  /** The heading that the route stands under. */
  readonly tag: string;
  /** Objects with one member for each place of the path and each parameter of the query. */
  readonly params?: z.ZodType;
  readonly query?: z.ZodType;
  readonly body?: z.ZodType;
  /** Media type of the body; JSON unless given. */
  readonly bodyType?: string;
  /** Of a success; left out where the answer is no JSON. */
  readonly response?: z.ZodType;
  /** Media type of the answer; JSON unless given. */
  readonly responseType?: string;
  /** Statuses that carry `response`; 200 alone unless given. */
  readonly statuses?: readonly number[];
}

declare module 'fastify' {
  interface FastifyContextConfig {
    doc?: RouteDoc;
  }
}

/** A route that is served, with what is told of it. */
export interface ServedRoute {
  /** Upper case. */
  readonly method: string;
  /** With places as `:name`. */
  readonly path: string;
  readonly doc: RouteDoc | undefined;
}

/** Adds each route to a list as it is registered: only those that come after this call. */
export function collectRoutes(app: FastifyInstance, routes: ServedRoute[]): void {
  app.addHook('onRoute', ({ method, url, config }: RouteOptions) => {
    for (const one of [method].flat()) {
      // OPTIONS is what browsers ask before any route, and HEAD is answered wherever GET is.
      if (one !== 'OPTIONS' && one !== 'HEAD') routes.push({ method: one, path: url, doc: config?.doc });
    }
  });
}
