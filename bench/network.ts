import { benchAccept } from './network/accept.ts';
import { benchFiles } from './network/files.ts';
import { benchHandler } from './network/handler.ts';
import { benchLists } from './network/lists.ts';
import type { Part, PartOptions, PartResult } from './part.ts';
import type { Row } from './stats.ts';

type Group = (options: PartOptions) => Promise<Pick<PartResult, 'rows' | 'ratios'> & { backend?: string }>;

/** One file in network/ each; `--only` takes their names. */
const GROUPS: Record<string, Group> = {
  accept: benchAccept,
  lists: benchLists,
  files: benchFiles,
  handler: benchHandler,
};

/** What a node does for the network, over HTTP, each beside what bounds it on this host. */
export const benchNetwork: Part = async (options) => {
  const rows: Row[] = [];
  const ratios: Record<string, number> = {};
  let backend = 'no machine';
  for (const [name, group] of Object.entries(GROUPS)) {
    if (!options.isWanted(name)) continue;
    const result = await group(options);
    rows.push(...result.rows);
    Object.assign(ratios, result.ratios);
    backend = result.backend ?? backend;
  }
  return { backend, rows, ratios };
};
