import { isIP } from 'node:net';
import { itemHashOfLabel } from '../program-label.ts';

export interface RouteConfig {
  /** Programs are served on host names below it, and nothing else is. Lower case. */
  programDomain: string;
  /** Host names of the API besides `localhost` and addresses. Lower case. */
  apiHosts: readonly string[];
  /** Whether a label is the name of a program. */
  hasName: (label: string) => boolean;
}

/** Where a request goes. */
export type Route =
  | { kind: 'program'; ref: string; host: string; path: string }
  | { kind: 'redirect'; ref: string; path: string }
  | { kind: 'api' }
  | { kind: 'unknown'; host: string };

export interface RoutedRequest {
  host: string | undefined;
  /** Request target: path and query. */
  url: string;
  secFetchMode: string | undefined;
  accept: string | undefined;
}

const PROXY_TARGET = /^https?:\/\/([^/?#]*)(.*)$/i;
const PROGRAM_PATH = /^\/vm\/([^/?]+)(\/?[^?]*)(\?.*)?$/;

/**
 * Decides by the host name alone whether a program or the API is meant; only the API's hosts have `/vm/` paths.
 * A name that is not ours is unknown, so that no page elsewhere can point a name of its own at the API.
 */
export function route(request: RoutedRequest, config: RouteConfig): Route {
  // A client that takes us for its proxy names the host in its target, and that one counts (RFC 9112, 3.2.2).
  const [, authority, rest = ''] = PROXY_TARGET.exec(request.url) ?? [];
  const asked = authority ?? request.host ?? '';
  const url = authority === undefined ? request.url : rest.startsWith('/') ? rest : `/${rest}`;
  const host = hostName(asked);
  // `OPTIONS *` asks about no path of anybody.
  if (!url.startsWith('/')) return { kind: 'unknown', host };
  if (host.endsWith(`.${config.programDomain}`)) {
    const label = host.slice(0, -config.programDomain.length - 1);
    const ref = config.hasName(label) ? label : itemHashOfLabel(label);
    return ref ? { kind: 'program', ref, host: asked, path: url } : { kind: 'unknown', host };
  }
  if (host !== 'localhost' && isIP(host) === 0 && !config.apiHosts.includes(host)) return { kind: 'unknown', host };
  const match = PROGRAM_PATH.exec(url);
  const ref = match?.[1];
  if (!match || ref === undefined) return { kind: 'api' };
  const path = `${match[2] || '/'}${match[3] ?? ''}`;
  return isNavigation(request) ? { kind: 'redirect', ref, path } : { kind: 'program', ref, host: asked, path };
}

/** A browser that would show the answer as a page, of the origin it asks: that must be the program's own. */
function isNavigation({ secFetchMode, accept }: RoutedRequest): boolean {
  if (secFetchMode !== undefined) return secFetchMode === 'navigate' || secFetchMode === 'nested-navigate';
  return accept?.includes('text/html') ?? false;
}

/** The name in a Host header, lower case, without port and brackets. */
function hostName(header: string): string {
  const name = /^\[([^\]]*)\](:\d+)?$/.exec(header)?.[1] ?? header.replace(/:\d+$/, '');
  return name.toLowerCase().replace(/\.$/, '');
}
