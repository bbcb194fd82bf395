import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { isIPv6 } from 'node:net';
import { EVENT_HEADER } from '../platform-headers.ts';

/** Headers that belong to one connection and are never passed on (RFC 9110, 7.6.1), and those this proxy answers itself. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
  'expect',
  // CGI gives it to a program as HTTP_PROXY, which HTTP clients take for a setting.
  'proxy',
]);
/** What a client could claim about itself; the gateway says it instead. */
const CLAIMS = new Set([
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-proto',
  'x-real-ip',
]);
/** What a client cannot have taken out by naming it in Connection: the message would mean something else without. */
const KEPT = new Set(['host', 'content-length', ...CLAIMS]);

/** What is said of a request by the gateway alone. */
const OURS = new Set(['x-request-id', 'vmlet-runtime-alias']);

/** What frames, routes, admits, controls or describes a message. */
const NO_TRAILER =
  /^(?:connection|keep-alive|te|trailer|transfer-encoding|upgrade|host|content-.*|cookie|set-cookie|(?:proxy-)?auth.*|www-.*|proxy-.*|cache-control|expires|date|age|vary|location|retry-after|warning|expect|max-forwards|pragma|range|if-.*|x-request-id|forwarded|x-forwarded-.*)$/i;

export interface ForwardOptions {
  requestId: string;
  /** The host that was asked for, with its port. */
  host: string;
  /** Believe what a proxy in front of the node says about the client. */
  trustForwarded: boolean;
}

/** A request's headers as the program gets them: name, value, name, value. Order and case are the client's. */
export function requestHeaders(request: IncomingMessage, options: ForwardOptions): string[] {
  const dropped = connectionHeaders(request.headers.connection);
  const headers: string[] = [];
  forEachHeader(request.rawHeaders, (name, value) => {
    const lower = name.toLowerCase();
    // WSGI and CGI give `X_Real_IP` and `X-Real-IP` the same name.
    const meant = lower.replaceAll('_', '-');
    if (HOP_BY_HOP.has(lower) || dropped.has(lower) || lower === 'host' || meant === 'x-request-id') return;
    // What the node says to a program, a visitor cannot.
    if (meant === EVENT_HEADER) return;
    if (CLAIMS.has(meant) && !options.trustForwarded) return;
    headers.push(name, value);
  });
  // One only, and the one that chose the program.
  if (options.host !== '') headers.push('host', options.host);
  headers.push('forwarded', forwarded(request, options.host), 'x-request-id', options.requestId);
  return headers;
}

/** A program's answer's headers as the client gets them: all of them, but for those of the connection. */
export function responseHeaders(raw: readonly string[], extra: readonly string[]): string[] {
  let connection = '';
  forEachHeader(raw, (name, value) => {
    if (name.toLowerCase() === 'connection') connection += `,${value}`;
  });
  const dropped = connectionHeaders(connection);
  const headers: string[] = [];
  forEachHeader(raw, (name, value) => {
    const lower = name.toLowerCase();
    // These are said by us alone: two names for one request are none.
    if (!HOP_BY_HOP.has(lower) && !dropped.has(lower) && !OURS.has(lower)) headers.push(name, value);
  });
  headers.push(...extra);
  return headers;
}

/** A program's trailers as the client gets them: without those that would be taken for its head (RFC 9110, 6.5.1). */
export function responseTrailers(trailers: IncomingHttpHeaders): [string, string | string[]][] {
  return Object.entries(trailers).flatMap(([name, value]): [string, string | string[]][] =>
    value === undefined || NO_TRAILER.test(name) ? [] : [[name, value]],
  );
}

/** Why an answer's body cannot be passed on; undefined if it can. The parser has taken off chunks, and no other coding. */
export function faultOfCoding(raw: readonly string[]): string | undefined {
  const codings: string[] = [];
  forEachHeader(raw, (name, value) => void (name.toLowerCase() === 'transfer-encoding' && codings.push(value)));
  if (codings.length === 0 || codings.join().trim().toLowerCase() === 'chunked') return undefined;
  return `its Transfer-Encoding is ${JSON.stringify(codings.join(', ').slice(0, 64))}`;
}

/** RFC 7239. */
function forwarded(request: IncomingMessage, requestedHost: string): string {
  const address = request.socket.remoteAddress ?? 'unknown';
  const node = isIPv6(address) ? `"[${address}]"` : address;
  const host = requestedHost.replace(/["\\]/g, '');
  return `for=${node};host="${host}";proto=http`;
}

function connectionHeaders(value: string | undefined): Set<string> {
  const named = (value ?? '').split(',').map((name) => name.trim().toLowerCase());
  return new Set(named.filter((name) => !KEPT.has(name)));
}

function forEachHeader(raw: readonly string[], visit: (name: string, value: string) => void): void {
  for (let index = 0; index + 1 < raw.length; index += 2) visit(raw[index] ?? '', raw[index + 1] ?? '');
}
