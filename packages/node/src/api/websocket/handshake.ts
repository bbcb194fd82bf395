import type { IncomingMessage } from 'node:http';
import { VmletError } from '../../errors.ts';

/** 16 bytes in base64. */
const KEY = /^[+/0-9A-Za-z]{22}==$/;
const VERSIONS = ['13', '8'];

/**
 * Looks at a handshake before anything is written, so that a refusal is a whole answer of HTTP.
 * @throws VmletError `REQUEST_MALFORMED`
 */
export function checkHandshake({ headers }: IncomingMessage): void {
  const { 'sec-websocket-key': key = '', 'sec-websocket-version': version = '' } = headers;
  if (!KEY.test(key)) throw malformed('a Sec-WebSocket-Key that is not 16 bytes in base64');
  if (!VERSIONS.includes(version)) throw malformed('a Sec-WebSocket-Version that is not 13');
}

/** The members of a query, each with what was given for it. */
export function queryOf(url: string): Record<string, string[]> {
  const members = new Map<string, string[]>();
  for (const [name, value] of new URL(url, 'http://localhost').searchParams) {
    members.set(name, [...(members.get(name) ?? []), value]);
  }
  return Object.fromEntries(members);
}

function malformed(found: string): VmletError {
  return new VmletError('REQUEST_MALFORMED', { operands: { found } });
}
