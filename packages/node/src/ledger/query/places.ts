import { createHash } from 'node:crypto';
import { addressKey } from '../address-key.ts';
import { type Row, textOf } from '../sqlite/rows.ts';
import type { MessageStatus } from '../state.ts';

/** The lists there are, by the number they have in the database. */
export const List = { inForce: 1, pending: 2, rejected: 3, forgotten: 4, removed: 5, received: 6, posts: 7 } as const;

/** One of the numbers. */
export type List = (typeof List)[keyof typeof List];

/** In which list a message of a status is. */
export const LIST_OF: Readonly<Record<MessageStatus, List>> = {
  pending: List.pending,
  processed: List.inForce,
  removing: List.inForce,
  rejected: List.rejected,
  forgotten: List.forgotten,
  removed: List.removed,
};

/** What messages are found by. Each has one value, but for tags. */
export type FacetKind =
  | 'status'
  | 'type'
  | 'sender'
  | 'owner'
  | 'channel'
  | 'chain'
  | 'ref'
  | 'tag'
  | 'contentType'
  | 'contentKey'
  | 'contentHash'
  | 'paymentType';

/** One value that a message is found by. */
export type Facet = readonly [kind: FacetKind, value: string];

/** Where a message stands in a list: `sort` descending, then its hash. */
export interface Place {
  readonly list: List;
  readonly sort: number;
  readonly facets: readonly Facet[];
}

/** What places depend on: a message, and what the ledger knows of it as a post. */
export interface QueuedRow
  extends Pick<Row, 'item_hash' | 'status' | 'type' | 'sender' | 'chain' | 'channel' | 'time' | 'received_ms'>,
    Pick<Row, 'address' | 'item_content' | 'content'> {
  post_type: string | null;
  post_ref: string | null;
  post_address: string | null;
  amends: string | null;
  last_updated: number | null;
  /** The text of the newest amend, if there is one. */
  latest_text: string | null;
}

/** Tags that one message is found by; those after are not looked at. */
const MAX_TAGS = 64;
/** Longer values are found by their hash: they come from strangers, and each is kept in an index. */
const MAX_VALUE_CHARS = 128;

/** A value as it stands in the index. */
export function facetValue(kind: FacetKind, value: string): string {
  const plain = kind === 'sender' || kind === 'owner' ? addressKey(value) : value;
  if (plain.length <= MAX_VALUE_CHARS && !plain.startsWith('\0')) return plain;
  return `\0${createHash('sha256').update(plain).digest('base64url')}`;
}

/** Every place a message has. */
export function placesOf(row: QueuedRow): Place[] {
  const status: Facet = ['status', row.status];
  const places: Place[] = [
    { list: List.received, sort: row.received_ms / 1000, facets: [status] },
    { list: LIST_OF[row.status], sort: row.time, facets: [status, ...facetsOf(row)] },
  ];
  if (row.last_updated !== null && row.amends === null) {
    places.push({ list: List.posts, sort: row.last_updated, facets: [status, ...postFacets(row)] });
  }
  return places.map((place) => ({ ...place, facets: bounded(place.facets) }));
}

function facetsOf(row: QueuedRow): Facet[] {
  const content = objectIn(textOf(row) ?? null);
  return [
    ['type', row.type],
    ['sender', row.sender],
    ['chain', row.chain],
    ...one('channel', row.channel),
    ...one('owner', row.address ?? content.address),
    ...one('ref', refIn(content.ref)),
    ...one('contentType', content.type),
    ...one('contentKey', keyIn(content.key)),
    ...one('contentHash', content.item_hash),
    ...one('paymentType', asObject(content.payment).type),
    ...tagsIn(content),
  ];
}

function postFacets(row: QueuedRow): Facet[] {
  return [
    ...one('owner', row.post_address),
    ...one('channel', row.channel),
    ...one('contentType', row.post_type),
    ...one('ref', row.post_ref),
    ...tagsIn(objectIn(row.latest_text ?? textOf(row) ?? null)),
  ];
}

/** Each once, in the form of the index. */
function bounded(facets: readonly Facet[]): Facet[] {
  const unique = new Map<string, Facet>();
  for (const [kind, value] of facets) {
    const facet: Facet = [kind, facetValue(kind, value)];
    unique.set(facet.join('\n'), facet);
  }
  return [...unique.values()];
}

function one(kind: FacetKind, value: unknown): Facet[] {
  return typeof value === 'string' ? [[kind, value]] : [];
}

/** Old posts refer to a whole message. */
function refIn(ref: unknown): unknown {
  return typeof ref === 'string' ? ref : asObject(ref).item_hash;
}

function keyIn(key: unknown): unknown {
  return typeof key === 'string' ? key : asObject(key).name;
}

function tagsIn(content: Record<string, unknown>): Facet[] {
  const { tags } = asObject(content.content);
  if (!Array.isArray(tags)) return [];
  return tags.slice(0, MAX_TAGS).flatMap((tag) => one('tag', tag));
}

function objectIn(text: string | null): Record<string, unknown> {
  if (text === null) return {};
  try {
    return asObject(JSON.parse(text));
  } catch {
    // A message that was refused for just that: nothing of its content is looked for.
    return {};
  }
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
