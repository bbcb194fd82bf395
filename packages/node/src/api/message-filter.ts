import {
  contentSchemas,
  envelopeSchema,
  fileHashSchema,
  itemHashSchema,
  type MessageType,
} from '@vmlet/messages/schema';
import type { Selection } from '../ledger/query/index.ts';
import {
  booleanParam,
  choiceParam,
  intParam,
  listParam,
  malformedParam,
  secondsParam,
  textsParam,
} from './query-params.ts';

const STATUSES = ['processed', 'removing', 'pending', 'rejected', 'forgotten', 'removed'] as const;
const MESSAGE_TYPES = Object.keys(contentSchemas) as [MessageType, ...MessageType[]];
const PAYMENT_TYPES = ['hold', 'superfluid', 'credit'] as const;
const MAX_BLOCK = 1_000_000_000_000;

const texts = () => textsParam().optional();
const typeList = () =>
  listParam(envelopeSchema.shape.type, { wanted: `one of ${MESSAGE_TYPES.join(', ')}` }).optional();
const hash = { wanted: '64 lowercase hex digits or a CID' };

/** When messages were sent, and in what order they are told. */
export const timeFields = {
  startDate: secondsParam().default(0),
  endDate: secondsParam().default(0),
  sortOrder: choiceParam(['-1', '1']).default('-1'),
};

/** What messages are found by. Each parameter takes any of its values, and all parameters have to be met. */
export const messageFilterFields = {
  msgType: typeList(),
  msgTypes: typeList(),
  msgStatuses: listParam(choiceParam(STATUSES), { wanted: `one of ${STATUSES.join(', ')}` }).default([
    'processed',
    'removing',
  ]),
  addresses: texts(),
  owners: texts(),
  channels: texts(),
  chains: listParam(envelopeSchema.shape.chain, { wanted: 'the name of a chain' }).optional(),
  refs: texts(),
  tags: texts(),
  contentTypes: texts(),
  contentKeys: texts(),
  contentHashes: listParam(fileHashSchema, hash).optional(),
  hashes: listParam(itemHashSchema, hash).optional(),
  paymentTypes: listParam(choiceParam(PAYMENT_TYPES), { wanted: `one of ${PAYMENT_TYPES.join(', ')}` }).optional(),
  startBlock: intParam({ min: 0, max: MAX_BLOCK }).default(0),
  endBlock: intParam({ min: 0, max: MAX_BLOCK }).default(0),
  sortBy: choiceParam(['time', 'tx-time']).default('time'),
};

/** How much of each message is told. */
export const contentFields = {
  contentFormat: choiceParam(['full', 'headers', 'none']).optional(),
  excludeContent: booleanParam().default(false),
};

interface TimeFilter {
  readonly startDate?: number | undefined;
  readonly endDate?: number | undefined;
  readonly sortOrder?: string;
}

/** Those of the parameters that are given. */
export interface MessageFilter extends TimeFilter {
  readonly msgType?: readonly string[] | undefined;
  readonly msgTypes?: readonly string[] | undefined;
  readonly msgStatuses?: Selection['statuses'];
  readonly addresses?: readonly string[] | undefined;
  readonly owners?: readonly string[] | undefined;
  readonly channels?: readonly string[] | undefined;
  readonly chains?: readonly string[] | undefined;
  readonly refs?: readonly string[] | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly contentTypes?: readonly string[] | undefined;
  readonly contentKeys?: readonly string[] | undefined;
  readonly contentHashes?: readonly string[] | undefined;
  readonly hashes?: readonly string[] | undefined;
  readonly paymentTypes?: readonly string[] | undefined;
  readonly startBlock?: number;
  readonly endBlock?: number;
}

/**
 * What the ledger is asked for.
 * @throws VmletError `API_QUERY_MALFORMED` for parameters that do not go together
 */
export function selectionOf(filter: MessageFilter): Selection {
  const { msgStatuses: statuses = ['processed', 'removing'], startBlock = 0, endBlock = 0 } = filter;
  const alone = statuses.find((status) => status === 'forgotten' || status === 'removed');
  if (alone !== undefined && statuses.length > 1) {
    throw malformedParam('msgStatuses', { found: statuses.join(), wanted: `${alone} alone` });
  }
  // Nothing here is confirmed on a chain, so no message is within any bounds of blocks.
  const hashes = startBlock > 0 || endBlock > 0 ? [] : filter.hashes;
  const conditions = [
    { kind: 'type', values: filter.msgType },
    { kind: 'type', values: filter.msgTypes },
    { kind: 'sender', values: filter.addresses },
    { kind: 'owner', values: filter.owners },
    { kind: 'channel', values: filter.channels },
    { kind: 'chain', values: filter.chains },
    { kind: 'ref', values: filter.refs },
    { kind: 'tag', values: filter.tags },
    { kind: 'contentType', values: filter.contentTypes },
    { kind: 'contentKey', values: filter.contentKeys },
    { kind: 'contentHash', values: filter.contentHashes },
    { kind: 'paymentType', values: filter.paymentTypes },
  ] as const;
  const anyOf = conditions.flatMap(({ kind, values }) => (values === undefined ? [] : [{ kind, values }]));
  return { statuses, anyOf, hashes, ...timesOf(filter) };
}

/** The same for when and in what order; 0 is no bound. @throws VmletError `API_QUERY_MALFORMED` */
export function timesOf({ startDate = 0, endDate = 0, sortOrder }: TimeFilter) {
  if (endDate > 0 && endDate < startDate) {
    throw malformedParam('endDate', { found: String(endDate), wanted: `at least startDate, which is ${startDate}` });
  }
  return {
    start: startDate > 0 ? startDate : undefined,
    end: endDate > 0 ? endDate : undefined,
    isReversed: sortOrder === '1',
  };
}
