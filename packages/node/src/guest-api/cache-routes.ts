import type { IncomingMessage, ServerResponse } from 'node:http';
import { VmletError } from '../errors.ts';
import { COSTS } from './allowance.ts';
import { withBody } from './body.ts';
import { CACHE_LIMITS, type ProgramCache } from './cache.ts';
import type { Caller } from './caller.ts';
import { send, sendJson } from './server.ts';

/** As the reference system has it, in seconds. */
const DEFAULT_TTL_SECONDS = 7 * 24 * 3600;
const MAX_TTL_SECONDS = 366 * 24 * 3600;
const KEY = /^[\p{L}\p{N}_]{1,128}$/u;
const PATTERN = /^[\p{L}\p{N}_?*^-]{1,128}$/u;

/** Whether a path is one of the cache. */
export function isCachePath(path: string): boolean {
  return path === '/cache' || path.startsWith('/cache/');
}

/**
 * GET, PUT and DELETE of `/cache/KEY`, and the list of keys at `/cache/`.
 * @throws VmletError `CACHE_*`, `GUEST_ROUTE_UNKNOWN`, and what reading a body raises
 */
export async function answerCache(url: URL, { cache, caller, request, response }: CacheCall): Promise<void> {
  const { itemHash, allowance } = caller;
  const name = decoded(url.pathname.slice('/cache/'.length));
  const { method = '' } = request;
  const isRead = method === 'GET' || method === 'HEAD';
  if (name === '' && isRead) {
    allowance.spend(COSTS.list);
    sendJson(response, cache.keys(itemHash, patternOf(url)));
    return;
  }
  allowance.spend(COSTS.cheap);
  if (!KEY.test(name)) throw malformed('key', `"${name.slice(0, 128)}"`, '1 to 128 letters, digits and "_"');
  if (isRead) send(response, { status: 200, type: 'application/octet-stream', body: found(cache, itemHash, name) });
  else if (method === 'DELETE') sendJson(response, cache.delete(itemHash, name));
  else if (method === 'PUT') await put(url, name, { cache, caller, request, response });
  else throw new VmletError('GUEST_ROUTE_UNKNOWN', { operands: { method, path: url.pathname.slice(0, 256) } });
}

interface CacheCall {
  cache: ProgramCache;
  caller: Caller;
  request: IncomingMessage;
  response: ServerResponse;
}

async function put(url: URL, key: string, { cache, caller, request, response }: CacheCall): Promise<void> {
  const ttlSeconds = ttlOf(url, request.headers['cache-control']);
  const maxBytes = CACHE_LIMITS.valueBytes;
  const tooLarge = () => new VmletError('CACHE_VALUE_TOO_LARGE', { operands: { key, maxBytes } });
  await withBody(request, { maxBytes, allowance: caller.allowance, tooLarge }, (value) =>
    cache.put(caller.itemHash, { key, value, ttlSeconds }),
  );
  sendJson(response, true);
}

function found(cache: ProgramCache, itemHash: Caller['itemHash'], key: string): Buffer {
  const value = cache.get(itemHash, key);
  if (value === undefined) throw new VmletError('CACHE_KEY_UNKNOWN', { operands: { key } });
  return value;
}

/** `?ttl=SECONDS`, else `Cache-Control: max-age=SECONDS`, else a week. */
function ttlOf(url: URL, cacheControl: string | undefined): number {
  const given = url.searchParams.get('ttl') ?? /(?:^|[\s,])max-age=([^\s,]*)/i.exec(cacheControl ?? '')?.[1];
  if (given === undefined) return DEFAULT_TTL_SECONDS;
  const seconds = /^\d{1,9}$/.test(given) ? Number(given) : 0;
  if (seconds >= 1 && seconds <= MAX_TTL_SECONDS) return seconds;
  throw malformed('ttl', `"${given.slice(0, 64)}"`, `1 to ${MAX_TTL_SECONDS} seconds`);
}

function patternOf(url: URL): string {
  const pattern = url.searchParams.get('pattern') ?? '*';
  if (PATTERN.test(pattern)) return pattern;
  throw malformed('pattern', `"${pattern.slice(0, 128)}"`, '1 to 128 letters, digits and "_?*^-"');
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw malformed('key', 'a percent sign that begins no character', '1 to 128 letters, digits and "_"');
  }
}

function malformed(field: string, found: string, expected: string): VmletError {
  return new VmletError('CACHE_REQUEST_MALFORMED', { operands: { field, found, expected } });
}
