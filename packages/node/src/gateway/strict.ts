import type { IncomingMessage } from 'node:http';
import { VmletError } from '../errors.ts';
import type { GatewayLimits } from './limits.ts';

/** RFC 9110, 7.2: a name or an address and a port, and nothing that another reader could take for a user or a path. */
const HOST = /^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i;
/** Visible ASCII without `#`: what every server reads alike. */
const TARGET = /^(?:\/|https?:\/\/([^/?\\]+)(?:[/?]|$))[!"$-~]*$/i;
/** As many digits as a number holds exactly. */
const LENGTH = /^\d{1,15}$/;
/** Made for talking with proxies: TRACE gives back what the client must not see, CONNECT leads out. */
const REFUSED_METHODS = new Set(['TRACE', 'CONNECT']);

/**
 * Why a request that node:http took is refused all the same; undefined if it means one thing to every reader. Whatever
 * passes is sent on in a form of our own: this is about what it says, not how it is written.
 */
export function refusalOf(request: IncomingMessage, limits: GatewayLimits): VmletError | undefined {
  const { method = '', url = '', rawHeaders, httpVersion } = request;
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return malformed(`HTTP/${httpVersion}`);
  if (rawHeaders.length / 2 > limits.headerLines) return tooLarge(limits);
  if (url.length > limits.targetBytes) {
    return new VmletError('TARGET_TOO_LONG', { operands: { maxBytes: limits.targetBytes } });
  }
  if (REFUSED_METHODS.has(method)) return new VmletError('METHOD_REFUSED', { operands: { method } });
  const found = faultOfTarget(method, url) ?? faultOfHost(request) ?? faultOfFraming(request);
  if (found !== undefined) return malformed(found);
  const expectation = valuesOf(rawHeaders, 'expect');
  if (expectation.length === 0 || expectation.join().toLowerCase() === '100-continue') return undefined;
  return new VmletError('EXPECTATION_FAILED', { operands: { found: shown(expectation.join(', ')) } });
}

/**
 * The same for a WebSocket's handshake: what follows goes to the program byte by byte, so a body there could be read as
 * anything.
 */
export function refusalOfUpgrade({ method, httpVersion, headers }: IncomingMessage): VmletError | undefined {
  if (method !== 'GET' || httpVersion !== '1.1') return malformed(`a WebSocket by ${method} in HTTP/${httpVersion}`);
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  return hasBody ? malformed('a WebSocket with a body') : undefined;
}

/** The refusal of a head that is no request. */
export function malformed(found: string): VmletError {
  return new VmletError('REQUEST_MALFORMED', { operands: { found } });
}

/** The refusal of a head over its bounds. */
export function tooLarge({ headBytes, headerLines }: GatewayLimits): VmletError {
  return new VmletError('HEAD_TOO_LARGE', { operands: { maxBytes: headBytes, maxLines: headerLines } });
}

function faultOfTarget(method: string, url: string): string | undefined {
  if (url === '*' && method === 'OPTIONS') return undefined;
  const [, authority] = TARGET.exec(url) ?? ['', ''];
  if (authority === undefined || (authority !== '' && HOST.test(authority))) return undefined;
  return `the target ${shown(url)}`;
}

function faultOfHost({ rawHeaders, httpVersion }: IncomingMessage): string | undefined {
  const hosts = valuesOf(rawHeaders, 'host');
  if (hosts.length === 0 && httpVersion === '1.0') return undefined;
  if (hosts.length !== 1) return `${hosts.length} Host headers`;
  return HOST.test(hosts[0] ?? '') ? undefined : `the Host ${shown(hosts[0] ?? '')}`;
}

function faultOfFraming({ rawHeaders, httpVersion }: IncomingMessage): string | undefined {
  const lengths = valuesOf(rawHeaders, 'content-length');
  const encodings = valuesOf(rawHeaders, 'transfer-encoding');
  if (lengths.length + encodings.length > 1) return 'more than one length';
  const [length] = lengths;
  if (length !== undefined && !LENGTH.test(length)) return `the Content-Length ${shown(length)}`;
  const [encoding] = encodings;
  if (encoding === undefined) return undefined;
  // Any other coding would be taken off here, or passed on as something that it is not.
  if (encoding.toLowerCase() !== 'chunked') return `the Transfer-Encoding ${shown(encoding)}`;
  return httpVersion === '1.1' ? undefined : `a Transfer-Encoding in HTTP/${httpVersion}`;
}

function valuesOf(rawHeaders: readonly string[], name: string): string[] {
  const values: string[] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    if (rawHeaders[index]?.toLowerCase() === name) values.push(rawHeaders[index + 1] ?? '');
  }
  return values;
}

function shown(text: string): string {
  return JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}...` : text);
}
