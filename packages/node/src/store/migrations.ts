import { messagesAndIndex } from './migrations/0001-messages.ts';
import { namesAndStops } from './migrations/0002-names.ts';
import { ledgerStates } from './migrations/0003-ledger.ts';
import { queryIndex } from './migrations/0004-query.ts';
import { contentPins } from './migrations/0005-content.ts';
import { guestApi } from './migrations/0006-guest-api.ts';
import { triggers } from './migrations/0007-triggers.ts';
import { publishing } from './migrations/0008-publishing.ts';
import { publicViews } from './migrations/0009-views.ts';
import type { Migration } from './migrations/migration.ts';

export type { Migration } from './migrations/migration.ts';

/** The schema of node.db. All parts share one list, for they share one file. */
export const nodeMigrations: readonly Migration[] = [
  messagesAndIndex,
  namesAndStops,
  ledgerStates,
  queryIndex,
  contentPins,
  guestApi,
  triggers,
  publishing,
  publicViews,
];
