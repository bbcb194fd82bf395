import { CliError } from './errors.ts';

/** Readers of option values; what they throw is the error of the command line. */

const VARIABLE = /^([A-Za-z_][A-Za-z0-9_]*)=([\s\S]*)$/;
const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/;
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
/** Timers count in 31 bits of milliseconds. */
const MAX_DURATION_MS = 2_147_483_647;
const LISTEN = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):(\d{1,5})$/;
const HOST = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/** Of a name in DNS. */
const MAX_HOST_CHARS = 253;
const ADDRESS = /^[\x21-\x2b\x2d-\x7e]{1,128}$/;

/** A reader of whole numbers within bounds. */
export function wholeNumber(option: string, { min, max }: { min: number; max: number }): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw malformed(option, text, `a whole number from ${min} to ${max}`);
  };
}

/** Collects `NAME=VALUE`, given any number of times; the last of a name counts. */
export function variable(text: string, before: Record<string, string> = {}): Record<string, string> {
  const [, name, value] = VARIABLE.exec(text) ?? [];
  if (name === undefined || value === undefined) throw malformed('--env', text, 'NAME=VALUE');
  return { ...before, [name]: value };
}

/** Collects `Name: value`, given any number of times; several of a name are all sent. */
export function header(text: string, before: readonly (readonly [string, string])[] = []): [string, string][] {
  const [, name, value] = /^([\w!#$%&'*+.^`|~-]+):[ \t]*([^\r\n]*)$/.exec(text) ?? [];
  if (name === undefined || value === undefined) throw malformed('--header', text, '"Name: value"');
  return [...before.map(([one, other]): [string, string] => [one, other]), [name, value]];
}

/** A reader of milliseconds, from `500ms`, `30s`, `5m` or `1h`. */
export function duration(option: string, { minMs = 1, maxMs = MAX_DURATION_MS } = {}): (text: string) => number {
  return (text) => {
    const [, amount, unit] = DURATION.exec(text) ?? [];
    const ms = Number(amount) * (UNIT_MS[unit ?? ''] ?? Number.NaN);
    if (ms >= minMs && ms <= maxMs) return Math.round(ms);
    throw malformed(option, text, 'a duration such as 30s, 5m or 1h');
  };
}

/** Milliseconds of --idle. */
export const durationMs = duration('--idle');

/** `HOST:PORT`; an IPv6 host stands in brackets. */
export function listenAddress(text: string): { host: string; port: number } {
  const [, ipv6, name, port] = LISTEN.exec(text) ?? [];
  const host = ipv6 ?? name;
  if (host !== undefined && Number(port) <= 65_535) return { host, port: Number(port) };
  throw malformed('--listen', text, 'HOST:PORT such as 127.0.0.1:4020 or [::1]:0');
}

/** Whether a text has the form of a program's name. */
export function isProgramName(text: string): boolean {
  return /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(text);
}

/** The name of a program: a DNS label. Which ones are free or reserved is for the node to say. */
export function programName(text: string): string {
  if (isProgramName(text)) return text;
  throw malformed('the name', text, 'at most 63 of a-z, 0-9 and "-", with no "-" at an end');
}

/** Collects host names, given any number of times. */
export function apiHost(text: string, before: readonly string[] = []): string[] {
  const name = text.toLowerCase();
  if (HOST.test(name) && name.length <= MAX_HOST_CHARS) return [...before, name];
  throw malformed('--api-host', text, 'a host name without scheme and port');
}

/** `own`, `any`, or addresses with commas between them. */
export function allowList(text: string): 'own' | 'any' | string[] {
  if (text === 'own' || text === 'any') return text;
  const addresses = text.split(',').map((address) => address.trim());
  if (addresses.every((address) => ADDRESS.test(address))) return addresses;
  throw malformed('--allow', text, '"own", "any" or addresses with commas between them');
}

function malformed(option: string, found: string, expected: string): CliError {
  return new CliError('OPTION_MALFORMED', { operands: { option, found, expected, help: 'vmlet --help' } });
}
