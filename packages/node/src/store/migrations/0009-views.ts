import type { Migration } from './migration.ts';

/** What public lists that are not of messages are found by. */
export const publicViews: Migration = {
  version: 9,
  up: `
    -- Who permits whom what: few of all members.
    CREATE INDEX aggregate_members_grants ON aggregate_members (address)
      WHERE key = 'security' AND name = 'authorizations';
    -- Measurements of nodes: few of all posts.
    CREATE INDEX posts_of_metrics ON posts (time) WHERE post_type = 'aleph-network-metrics';
  `,
};
