import { removeTree } from './hierarchy.ts';

/**
 * Removes cgroups. Where what stood above a machine was killed, nobody knows when its processes have left: what is busy
 * is tried again with the next one, and the last of it by the next node of the home.
 */
export class Removals {
  readonly #waiting = new Set<string>();

  async remove(folders: readonly string[]): Promise<void> {
    for (const folder of folders) this.#waiting.add(folder);
    for (const folder of [...this.#waiting]) if (await removeTree(folder)) this.#waiting.delete(folder);
  }
}
