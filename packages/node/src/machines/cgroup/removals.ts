import { removeTree } from './hierarchy.ts';

/**
 * Removes cgroups. A process that has closed its sockets may be a moment short of having left its cgroup: what is busy
 * then is tried again with the next one, since no event of v1 tells when it is free.
 */
export class Removals {
  readonly #waiting = new Set<string>();

  async remove(folders: readonly string[]): Promise<void> {
    for (const folder of folders) this.#waiting.add(folder);
    for (const folder of [...this.#waiting]) if (await removeTree(folder)) this.#waiting.delete(folder);
  }

  /** With the folders that held them. What is busy even now is found by the next node of the home. */
  async finish(parents: readonly string[]): Promise<void> {
    await this.remove(parents);
  }
}
