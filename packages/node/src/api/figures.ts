import * as z from 'zod';
import type { ApiComponents } from './components.ts';

/** What a node says of itself in public, under the names by which the network's monitors know it. */
export const figuresSchema = z.object({
  pyaleph_build_info: z.object({ version: z.string() }),
  pyaleph_status_peers_total: z.int(),
  pyaleph_status_sync_messages_total: z.int(),
  pyaleph_status_sync_permanent_files_total: z.int(),
  pyaleph_status_sync_pending_messages_total: z.int(),
  pyaleph_status_sync_pending_txs_total: z.int(),
});

/** Those figures. */
export type Figures = z.output<typeof figuresSchema>;

/** Looks the figures up: each is read from a counter, whatever the number of messages. */
export function figuresOf({ facets, version }: Pick<ApiComponents, 'facets' | 'version'>): Figures {
  const { messages, pending, files } = facets.totals();
  return {
    pyaleph_build_info: { version: `vmlet-${version}` },
    // It has no peers and follows no chain.
    pyaleph_status_peers_total: 0,
    pyaleph_status_sync_messages_total: messages,
    pyaleph_status_sync_permanent_files_total: files,
    pyaleph_status_sync_pending_messages_total: pending,
    pyaleph_status_sync_pending_txs_total: 0,
  };
}

/** The same in the text format of Prometheus; facts are a sample of 1 with labels. */
export function openMetricsOf(figures: Figures): string {
  const lines = Object.entries(figures).map(([name, value]) => {
    if (typeof value === 'number') return `# TYPE ${name} gauge\n${name} ${value}`;
    const labels = Object.entries(value).map(([label, text]) => `${label}=${JSON.stringify(text)}`);
    return `# TYPE ${name} gauge\n${name}{${labels.join()}} 1`;
  });
  return `${lines.join('\n')}\n`;
}
