import * as z from 'zod';
import type { RouteDoc, ServedRoute } from '../doc.ts';

/** A JSON Schema, or any other part of the document. */
type Json = Record<string, unknown>;

/** What the document says of the whole API. */
export interface ApiFacts {
  readonly title: string;
  readonly version: string;
  readonly description: string;
}

/** An OpenAPI document, as far as its readers here look into it. */
export interface OpenApiDocument extends Json {
  readonly paths: Record<string, Record<string, Operation>>;
}

/** One method of one path. */
export interface Operation extends Json {
  readonly summary: string;
  readonly tags: readonly string[];
  readonly parameters: readonly Parameter[];
}

/** A place in the path or a parameter of the query. */
export interface Parameter extends Json {
  readonly name: string;
  readonly in: 'path' | 'query';
  readonly required: boolean;
  readonly schema: Json;
}

const JSON_TYPE = 'application/json';
const PROBLEM: Json = {
  description: 'What is wrong, where, and what to do next (RFC 9457)',
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
};
const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  code: z.string().meta({ description: 'Stable; the documentation lists each' }),
  phase: z.string(),
  cause: z.string(),
  next: z.string(),
  retryable: z.boolean(),
});

/** Writes the OpenAPI 3.1 document of routes, from the schemas that they validate with. Undocumented ones are left out. */
export function documentOf(routes: readonly ServedRoute[], { title, version, description }: ApiFacts): OpenApiDocument {
  const paths: Record<string, Record<string, Operation>> = {};
  const sorted = routes.toSorted((a, b) => (a.path < b.path ? -1 : 1));
  for (const { method, path, doc } of sorted) {
    if (doc === undefined) continue;
    const name = path.replaceAll(/:(\w+)/g, '{$1}');
    paths[name] = { ...paths[name], [method.toLowerCase()]: operationOf(path, doc) };
  }
  const tags = [...new Set(sorted.flatMap(({ doc }) => doc?.tag ?? []))].sort().map((tag) => ({ name: tag }));
  return {
    openapi: '3.1.0',
    info: { title, version, description },
    tags,
    paths,
    components: { schemas: { Problem: schemaOf(problemSchema, 'output') } },
  };
}

function operationOf(path: string, doc: RouteDoc): Operation {
  return {
    summary: doc.summary,
    tags: [doc.tag],
    parameters: [...placesOf(path, doc.params), ...queryOf(doc.query)],
    ...(doc.body || doc.bodyType
      ? { requestBody: { required: true, content: contentOf(doc.body, doc.bodyType) } }
      : {}),
    responses: { ...answersOf(doc), default: PROBLEM },
  };
}

function answersOf({ statuses = [200], response, responseType }: RouteDoc): Json {
  const content = response || responseType ? { content: contentOf(response, responseType, 'output') } : {};
  return Object.fromEntries(statuses.map((status) => [status, { description: WORDS[status] ?? 'Done', ...content }]));
}

const WORDS: Readonly<Record<number, string>> = {
  101: 'The connection is a WebSocket from here on',
  200: 'Done',
  202: 'Accepted, and not yet in force',
  410: 'Forgotten',
  422: 'Rejected',
};

function contentOf(schema: z.ZodType | undefined, type = JSON_TYPE, io: 'input' | 'output' = 'input'): Json {
  return { [type]: { schema: schema === undefined ? { type: 'string', format: 'binary' } : schemaOf(schema, io) } };
}

/** A place that no schema names is a text. */
function placesOf(path: string, schema: z.ZodType | undefined): Parameter[] {
  const { properties } = membersOf(schema);
  return [...path.matchAll(/:(\w+)/g)].map(([, name = '']) => ({
    ...{ name, in: 'path', required: true },
    schema: properties[name] ?? { type: 'string' },
  }));
}

function queryOf(schema: z.ZodType | undefined): Parameter[] {
  const { properties, required } = membersOf(schema);
  return Object.entries(properties).map(([name, member]) => ({
    ...{ name, in: 'query', required: required.includes(name) },
    schema: member,
  }));
}

function membersOf(schema: z.ZodType | undefined): { properties: Record<string, Json>; required: string[] } {
  const { properties = {}, required = [] } = schema === undefined ? {} : schemaOf(schema, 'input');
  return { properties: properties as Record<string, Json>, required: required as string[] };
}

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _version, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return rest;
}
