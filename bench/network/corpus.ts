import { createHash } from 'node:crypto';
import { itemHashOf } from '@vmlet/messages';

/** When the first message was sent. */
export const START_SECONDS = 1_700_000_000;
/** What every STORE names. */
export const STORED_FILE = 'a file that every STORE names';

const SENDERS = 20_000;
const CHANNELS = 300;

/** Numbers from 0 to below 1 that depend on the message's number and a purpose alone. */
export function chance(index: number, purpose: number): number {
  let mixed = Math.imul(index ^ Math.imul(purpose, 0x9e3779b9), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32;
}

/** The low numbers often and the high ones seldom, as senders and channels are. */
const skewed = (index: number, purpose: number, count: number) => Math.floor(count * chance(index, purpose) ** 3);

/** An address; the low numbers send most. */
export const addressOf = (sender: number) =>
  `0x${createHash('sha256').update(`sender ${sender}`).digest('hex').slice(0, 40)}`;

/** Each message half a second after the one before; one in twenty up to a day earlier, as they are when nodes catch up. */
function timeOf(index: number): number {
  const late = chance(index, 1) < 0.05 ? Math.floor(chance(index, 2) * 86_400) : 0;
  return Math.max(0, START_SECONDS + index / 2 - late);
}

/** The same message for a number, always: seven POSTs, two AGGREGATEs, one STORE of ten. */
export function messageOf(index: number) {
  const address = addressOf(skewed(index, 3, SENDERS));
  const time = timeOf(index);
  const type = index % 10 < 7 ? 'POST' : index % 10 < 9 ? 'AGGREGATE' : 'STORE';
  const text = JSON.stringify({ address, time, ...contentOf(index, type) });
  return {
    ...{
      chain: 'ETH',
      sender: address,
      type,
      time,
      item_type: 'inline',
      item_hash: itemHashOf(text),
      item_content: text,
    },
    channel: `channel-${skewed(index, 4, CHANNELS)}`,
    signature: `0x${'11'.repeat(65)}`,
  };
}

function contentOf(index: number, type: string): object {
  if (type === 'AGGREGATE') return { key: `key-${index % 5}`, content: { [`member-${index % 7}`]: index } };
  if (type === 'STORE') {
    const item_hash = createHash('sha256').update(STORED_FILE).digest('hex');
    return { item_type: 'storage', item_hash, metadata: { index } };
  }
  const tags = [`tag-${skewed(index, 5, 1000)}`, index % 2 === 0 ? 'even' : 'odd'];
  return {
    type: `type-${skewed(index, 6, 50)}`,
    content: { body: `${index} ${'x'.repeat(150)}`, tags },
    ref: `ref-${skewed(index, 7, 5000)}`,
  };
}

/** The first messages. */
export function* messagesUpTo(count: number) {
  for (let index = 0; index < count; index++) yield messageOf(index);
}
