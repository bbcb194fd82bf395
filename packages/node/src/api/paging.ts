import * as z from 'zod';
import { choiceParam, intParam } from './query-params.ts';

/** As far as a list is paged through by number; beyond that its rows are not the ones they were. */
const MAX_PAGE = 1_000_000_000;

/** Newest first is -1. */
export const sortOrder = choiceParam(['-1', '1']).default('-1').transform(Number);

/** The parameters of a list that is told page by page. */
export function pageFields({ defaultSize, maxSize }: { defaultSize: number; maxSize: number }) {
  return {
    pagination: intParam({ min: 1, max: maxSize }).default(defaultSize),
    page: intParam({ min: 1, max: MAX_PAGE }).default(1),
  };
}

interface Page {
  readonly pagination: number;
  readonly page: number;
}

/** Which rows a page has. */
export function pageOf({ pagination, page }: Page): { limit: number; offset: number } {
  return { limit: pagination, offset: (page - 1) * pagination };
}

/** What each answer says of its page. */
export const pageSchema = {
  pagination_per_page: z.int(),
  pagination_page: z.int(),
  pagination_total: z.int(),
  pagination_item: z.string(),
};

/** The same for one answer. */
export function pageMembers({ pagination, page }: Page, { total, item }: { total: number; item: string }) {
  return {
    pagination_per_page: pagination,
    pagination_page: page,
    pagination_total: total,
    pagination_item: item,
  };
}
