import type { RecipeNode } from './node.ts';

type MapNode = RecipeNode & { kind: 'map' };

/** Lists that are added to, and by what two of their entries are the same: the later one counts. */
const ADDED: Readonly<Record<string, (entry: RecipeNode) => string | undefined>> = {
  packages: textOf,
  components: textOf,
  exclude: textOf,
  include: textOf,
  remove: textOf,
  files: (entry) => memberText(entry, 'path'),
  npm: (entry) => `${memberText(entry, 'package')}@${memberText(entry, 'version')}`,
  run: () => undefined,
};
/** Maps whose members are added to, or replaced one by one. */
const JOINED = ['environment', 'labels', 'links', 'directories', 'interpreters'];
/** Members of a filesystem that mean nothing to another one. */
const OF_ONE_FORMAT = ['compression', 'clusterKiB', 'freeMiB'];

/**
 * A recipe on top of the one that it extends: lists are added to, maps are joined, everything else is replaced. Mirrors of
 * one's own are asked first. `extends` itself is that of the base.
 */
export function mergeRecipes(base: MapNode, own: MapNode): MapNode {
  const members = new Map(base.members);
  for (const [name, node] of own.members) {
    if (name === 'extends') continue;
    members.set(name, merged(name, members.get(name), node));
  }
  return { ...own, members };
}

function merged(name: string, base: RecipeNode | undefined, own: RecipeNode): RecipeNode {
  if (base === undefined) return own;
  const sameBy = ADDED[name];
  if (sameBy !== undefined && base.kind === 'list' && own.kind === 'list') {
    const taken = new Set(own.items.map(sameBy).filter((key) => key !== undefined));
    const kept = base.items.filter((entry) => !taken.has(sameBy(entry) ?? ''));
    return { ...own, items: [...kept, ...own.items] };
  }
  if (name === 'mirrors' && base.kind === 'list' && own.kind === 'list')
    return { ...own, items: [...own.items, ...base.items] };
  if (base.kind !== 'map' || own.kind !== 'map') return own;
  if (JOINED.includes(name)) return { ...own, members: new Map([...base.members, ...own.members]) };
  return name === 'filesystem' ? mergeFilesystems(base, own) : own;
}

function mergeFilesystems(base: MapNode, own: MapNode): MapNode {
  const format = own.members.get('format');
  const before = base.members.get('format');
  const isAnother = format !== undefined && textOf(format) !== (before === undefined ? 'erofs' : textOf(before));
  const kept = [...base.members].filter(([name]) => !isAnother || !OF_ONE_FORMAT.includes(name));
  return { ...own, members: new Map([...kept, ...own.members]) };
}

function textOf(node: RecipeNode): string {
  return node.kind === 'scalar' ? String(node.value) : '';
}

function memberText(node: RecipeNode, name: string): string {
  const member = node.kind === 'map' ? node.members.get(name) : undefined;
  return member === undefined ? '' : textOf(member);
}
