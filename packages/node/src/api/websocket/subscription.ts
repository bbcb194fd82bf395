import * as z from 'zod';
import { contentFields, messageFilterFields, timeFields } from '../message-filter.ts';
import { intParam } from '../query-params.ts';

const MAX_HISTORY = 199;
const DEFAULT_HISTORY = 10;

const { sortBy: _sortBy, ...filterFields } = messageFilterFields;
const { startDate, endDate } = timeFields;

/** The query of a subscription: the filters of a list, and how much of the past comes first. */
export const subscriptionSchema = z.object({
  ...filterFields,
  ...{ startDate, endDate },
  excludeContent: contentFields.excludeContent,
  history: intParam({ min: 0, max: MAX_HISTORY }).default(DEFAULT_HISTORY),
});

/** What one client asked for. */
export type MessageSubscription = z.output<typeof subscriptionSchema>;
