import { itemHashSchema } from '@vmlet/messages/schema';
import { itemHashOfLabel } from '../program-label.ts';

/** A DNS label (RFC 1123), in lower case. */
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/** Of any label that DNS lays down a meaning for, `xn--` above all: it looks like something else in a browser. */
const TAGGED = /^[a-z0-9]{2}--/;

/** Names that clients ask for by themselves, or that visitors would take for the node's own. */
const RESERVED = new Set([
  ...['localhost', 'wpad', 'isatap', 'autoconfig', 'autodiscover', 'mta-sts'],
  ...['admin', 'api', 'explorer', 'node', 'vm', 'vmlet', 'www'],
]);

/**
 * Why a text cannot be the name of a program; undefined if it can. A name is the first label of a host name and stands
 * where an item_hash does, so it must not be mistaken for either form of one.
 */
export function nameFault(name: string): string | undefined {
  if (!NAME.test(name)) return 'it is no DNS label';
  if (TAGGED.test(name)) return 'its third and fourth characters are hyphens';
  if (RESERVED.has(name)) return 'it is reserved';
  if (itemHashOfLabel(name) !== undefined || itemHashSchema.safeParse(name).success) return 'it reads as an item_hash';
  return undefined;
}
