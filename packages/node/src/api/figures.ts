import type { ApiComponents } from './components.ts';

/** What a node says of itself in public, under the names by which the network's monitors know it. */
export function figuresOf({ version }: Pick<ApiComponents, 'version'>): Record<string, unknown> {
  return { pyaleph_build_info: { version } };
}
