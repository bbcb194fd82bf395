import type { CgroupTree } from './cgroup.ts';
import { ownPlaces } from './hierarchy.ts';
import { openV1 } from './v1.ts';
import { openV2 } from './v2.ts';

/** A tree, or why there is none, in words that go on after a colon. */
export type CgroupsFound = { tree: CgroupTree } | { tree?: undefined; why: string };

/**
 * Makes room for machines' cgroups below the node's own, and removes what an earlier node of this home has left.
 * @param name of the node's part of the tree, such as `vmlet-1a2b3c4d`
 */
export async function openCgroups(name: string): Promise<CgroupsFound> {
  try {
    const places = await ownPlaces();
    const unified = places.find(({ controllers }) => controllers.length === 0);
    const tree = (unified && (await openV2(name, unified.folder))) ?? (await openV1(name, places));
    if (tree) return { tree };
    return { why: 'the memory controller is not there, or other processes share the cgroup of the node' };
  } catch (error) {
    return { why: error instanceof Error ? error.message : String(error) };
  }
}
