/** What of a module's exports is to be served, and how. */
import type { IncomingMessage, ServerResponse } from 'http';
import { Server } from 'net';
import type { Entry } from './entrypoint.ts';
import { Failure } from './failures.ts';
import type { Interface } from './load-request.ts';
import { nearNames } from './near.ts';
import type { Exports } from './program.ts';
import type { Fetch } from './web.ts';

/** A function of Node's `request` event; one with a third parameter is given `next`, as Connect does. */
export type Handler = (this: unknown, req: IncomingMessage, res: ServerResponse, next?: Next) => unknown;
export type Next = (error?: unknown) => void;

export type Target =
  | { interface: 'fetch'; fetch: Fetch }
  | { interface: 'handler'; handler: Handler }
  /** A server that the program made and did not let listen. */
  | { interface: 'listen'; server: Server };

/**
 * Finds what to serve, or `undefined` where nothing exported can be: then the program has to listen by itself.
 * @param wanted the interface that the message names, if it does
 * @throws Failure EXPORT_NOT_FOUND for a named export that is missing, NOTHING_TO_SERVE for one that cannot be served
 */
export function chooseTarget(exports: Exports, entry: Entry, wanted: Interface | null): Target | undefined {
  if (wanted === 'listen') return undefined;
  const { exportName } = entry;
  const value = exportName === undefined ? exports.main : namedExport(exports, entry, exportName);
  const target = targetOf(value, exportName === undefined ? exports.named.fetch : undefined, wanted);
  if (target === undefined && (exportName !== undefined || wanted !== null)) {
    const found = `found ${describe(value)}`;
    const expected = 'expected a function (request, response) or an object with a function "fetch"';
    throw new Failure('NOTHING_TO_SERVE', `Cannot serve "${entry.entrypoint}": ${found}, ${expected}`);
  }
  return target;
}

function namedExport({ main, named }: Exports, { entrypoint }: Entry, name: string): unknown {
  const inner = Object(main) as Record<string, unknown>;
  if (name in named) return named[name];
  if (name in inner) return inner[name];
  const names = Object.keys(named).filter((key) => key !== '__esModule' && key !== 'module.exports');
  const expected = `expected one${nearNames(name, names, 'names')}`;
  throw new Failure('EXPORT_NOT_FOUND', `Cannot find export "${name}" of "${entrypoint}": no such name, ${expected}`);
}

/** @param named an export `fetch` beside `value` */
function targetOf(value: unknown, named: unknown, wanted: Interface | null): Target | undefined {
  const members = Object(value) as Record<string, unknown>;
  if (wanted !== 'handler') {
    const { fetch } = members;
    if (isCallable(fetch)) return { interface: 'fetch', fetch: (request) => fetch.call(value, request) };
    if (isCallable(named)) return { interface: 'fetch', fetch: (request) => named(request) };
  }
  if (value instanceof Server) return wanted === null ? { interface: 'listen', server: value } : undefined;
  if (isCallable(value)) {
    // A function of one parameter cannot answer but by what it returns.
    if (wanted === 'fetch' || (wanted === null && value.length < 2)) return { interface: 'fetch', fetch: value };
    return { interface: 'handler', handler: value };
  }
  const { callback, use } = members;
  if (wanted === 'fetch' || !isCallable(callback) || !isCallable(use)) return undefined;
  const handler: unknown = callback.call(value); // a Koa application makes its handler
  return isCallable(handler) ? { interface: 'handler', handler } : undefined;
}

/** Classes are functions too, but not to be called. */
function isCallable(value: unknown): value is (this: unknown, ...values: unknown[]) => unknown {
  return typeof value === 'function' && !/^class\b/.test(Function.prototype.toString.call(value));
}

/** What was exported, in words. */
export function describe(value: unknown): string {
  if (value === undefined || value === null) return `${value}`;
  if (typeof value === 'function') return `the ${isCallable(value) ? 'function' : 'class'} "${value.name}"`;
  if (typeof value !== 'object') return `a ${typeof value}`;
  const keys = Object.keys(value).slice(0, 8).join(', ');
  return keys === '' ? 'an object without members' : `an object with ${keys}`;
}
